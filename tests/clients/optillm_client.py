"""optillm_client.py URL: the algorithms of the unmodified optillm package on our server: best of n, which asks for n
choices and would fall back without a word, and self-consistency.  Its proxy is left out: it needs gigabytes of other
packages.
Next: page.py."""
import importlib, importlib.util, logging, sys, types
from importlib.metadata import version

import openai

# The package without its __init__, which loads the proxy.
folder = importlib.util.find_spec("optillm").submodule_search_locations
package = types.ModuleType("optillm")
package.__path__ = list(folder)
sys.modules["optillm"] = package
sys.modules["optillm.conversation_logger"] = types.SimpleNamespace(log_provider_call=lambda *_: None)
package.conversation_logger = None
bon = importlib.import_module("optillm.bon")
consistency = importlib.import_module("optillm.self_consistency")


class Heard(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


heard = Heard()
logging.getLogger("optillm").addHandler(heard)
logging.getLogger("optillm").setLevel(logging.INFO)
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
model = client.models.list().data[0].id

answer, tokens = bon.best_of_n_sampling("Answer in one word.", "Name a colour.", client, model, n=3,
                                        request_config={"max_tokens": 8})
assert isinstance(answer, str) and tokens > 0
assert any("Generated 3 initial completions using n" in line for line in heard.lines), heard.lines
assert not any("not supported" in line for line in heard.lines), heard.lines
samples = consistency.AdvancedSelfConsistency(client, model, num_samples=3, request_config={"max_tokens": 64})
answers = samples.generate_responses("Answer in one word.", "Name a colour.")
assert samples.self_consistency_completion_tokens >= len(answers)
print(f"optillm {version('optillm')} is served: best of 3, and {len(answers)} of 3 samples that came to an end")
