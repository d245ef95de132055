"""ollama_client.py URL: the unmodified ollama package: chat, generate, lists.
Next: its_hub_client.py."""
import sys
from importlib.metadata import version

import ollama

client = ollama.Client(host=sys.argv[1])
model = client.list().models[0].model
talk = [{"role": "user", "content": "Say one word."}]
options = {"num_predict": 8, "seed": 1}

whole = client.chat(model=model, messages=talk, options=options)
assert whole.done and whole.message.role == "assistant" and whole.eval_count <= 8
parts = "".join(part.message.content for part in client.chat(model=model, messages=talk, options=options, stream=True))
assert parts == whole.message.content, (parts, whole)
text = client.generate(model=model, prompt="Say one word.", options=options)
assert text.response and text.done_reason in ("stop", "length")
shape = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
import json
assert isinstance(json.loads(client.chat(model=model, messages=talk, format=shape, options={"num_predict": 60}).message.content)["n"], int)
assert client.show(model).modelinfo["general.architecture"]
assert client.ps().models[0].model == model
try:
    client.chat(model="other", messages=talk)
    raise SystemExit("another model was taken")
except ollama.ResponseError as e:
    assert e.status_code == 404
print("ollama", version("ollama"), "is served")
