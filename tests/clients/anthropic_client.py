"""anthropic_client.py URL: the unmodified anthropic package: messages, streams, counting.
Next: ollama_client.py."""
import sys

import anthropic

client = anthropic.Anthropic(base_url=sys.argv[1], api_key="none", max_retries=0)
model = client.models.list().data[0].id
talk = [{"role": "user", "content": "Say one word."}]
extra = {"seed": 1, "temperature": 0}

whole = client.messages.create(model=model, messages=talk, max_tokens=8, system="Be brief.", extra_body=extra)
assert whole.role == "assistant" and whole.stop_reason in ("end_turn", "max_tokens") and whole.usage.output_tokens <= 8
with client.messages.stream(model=model, messages=talk, max_tokens=8, system="Be brief.", extra_body=extra) as stream:
    parts = "".join(stream.text_stream)
    final = stream.get_final_message()
assert parts == "".join(b.text for b in whole.content if b.type == "text"), (parts, whole)
assert final.usage.output_tokens == whole.usage.output_tokens
count = client.messages.count_tokens(model=model, messages=talk, system="Be brief.")
assert count.input_tokens == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)
try:
    client.messages.create(model="other", messages=talk, max_tokens=8)
    raise SystemExit("another model was taken")
except anthropic.NotFoundError:
    pass
print("anthropic", anthropic.__version__, "is served")
