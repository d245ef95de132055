"""openai_client.py URL: the unmodified openai package: chat, completions, responses, streams, n = 32.
Next: anthropic_client.py."""
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
model = client.models.list().data[0].id
talk = [{"role": "user", "content": "Say one word."}]

whole = client.chat.completions.create(model=model, messages=talk, max_tokens=8, seed=1)
assert whole.choices[0].message.role == "assistant" and whole.usage.completion_tokens <= 8

parts, usage = "", None
for chunk in client.chat.completions.create(model=model, messages=talk, max_tokens=8, seed=1, stream=True,
                                            stream_options={"include_usage": True}):
    if chunk.choices and chunk.choices[0].delta.content:
        parts += chunk.choices[0].delta.content
    usage = chunk.usage or usage
assert parts == whole.choices[0].message.content, (parts, whole)
assert usage.total_tokens == whole.usage.total_tokens

try:
    with client.chat.completions.stream(model=model, messages=talk, max_tokens=4, seed=1, n=3) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
except openai.LengthFinishReasonError as e:  # the helper's own opinion of answers that are cut
    final = e.completion
assert [c.index for c in final.choices] == [0, 1, 2]

many = client.chat.completions.create(model=model, messages=talk, max_tokens=4, n=32, temperature=1)
assert [c.index for c in many.choices] == list(range(32))

likely = client.chat.completions.create(model=model, messages=talk, max_tokens=3, logprobs=True, top_logprobs=5, temperature=0)
for token in likely.choices[0].logprobs.content:
    assert token.logprob == max(t.logprob for t in token.top_logprobs) and bytes(token.bytes).decode() == token.token

text = client.completions.create(model=model, prompt=["A", "B"], max_tokens=4, logprobs=2, echo=True, temperature=0)
assert len(text.choices) == 2 and text.choices[0].logprobs.token_logprobs[0] is None
best = client.completions.create(model=model, prompt="A", max_tokens=4, best_of=4, n=2)
assert len(best.choices) == 2

schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": False}
json_text = client.chat.completions.create(model=model, messages=talk, max_tokens=100, response_format={
    "type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}})
import json
assert set(json.loads(json_text.choices[0].message.content)) == {"city"}

answer = client.responses.create(model=model, input="Say one word.", max_output_tokens=8, temperature=0)
assert answer.object == "response" and answer.output[-1].content[0].type == "output_text"
with client.responses.stream(model=model, input="Say one word.", max_output_tokens=8, temperature=0) as stream:
    events = list(stream)
kinds = [event.type for event in events]
assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete"), kinds
assert events[-1].response.output[-1].content[0].text == answer.output_text

found = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "What is 2 + 3?"}], max_tokens=64,
                                       extra_body={"search": {"strategy": "maj", "budget": 4}})
assert found.search["strategy"] == "maj" and found.usage.completion_tokens == found.search["cost"]["generated_tokens"]
try:
    client.chat.completions.create(model=model, messages=talk, temperature=-1)
    raise SystemExit("a temperature of -1 was taken")
except openai.BadRequestError as e:
    assert "temperature" in str(e)
print("openai", openai.__version__, "is served")
