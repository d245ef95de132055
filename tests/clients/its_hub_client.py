"""its_hub_client.py URL: the unmodified its-hub package: self-consistency over 8 answers, each a request of its own;
they share one reading of the prompt by themselves, and the metrics show it.
Next: optillm_client.py."""
import json, re, sys, urllib.request
from importlib.metadata import version

from its_hub import OpenAICompatibleLanguageModel, SelfConsistency

url = sys.argv[1]
BUDGET = 8


def metric(name):
    with urllib.request.urlopen(url + "/metrics") as reply:
        return float(re.search(rf"^ponder_{name} (.*)$", reply.read().decode(), re.M).group(1))


model = json.load(urllib.request.urlopen(url + "/v1/models"))["data"][0]["id"]
lm = OpenAICompatibleLanguageModel(endpoint=url + "/v1", api_key="none", model_name=model, max_completion_tokens=12,
                                   temperature=1.0)
names = ("prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total")
before = {name: metric(name) for name in names}
question = "A question that nobody has asked here before: what is 17 + 25? " * 3
result = SelfConsistency(str.strip).infer(lm, question, budget=BUDGET, return_response_only=False)
assert len(result.responses) == BUDGET and result.the_one["role"] == "assistant", result
assert len({r["content"] for r in result.responses}) > 1, "without a seed each request is drawn anew"
grown = {name: metric(name) - was for name, was in before.items()}
assert grown["tokens_predicted_total"] <= 12 * BUDGET, grown
# All but the first find the prompt, or wait for it; each reads the last token itself, and what fills no page.
share = grown["prompt_tokens_cached_total"] / grown["prompt_tokens_total"]
assert share > 0.5, grown
print(f"its-hub {version('its-hub')} is served; {share:.0%} of the tokens of its {BUDGET} prompts were read for another "
      "one of them")
