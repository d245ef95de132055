"""lm_eval_client.py URL PONDER MODEL: the unmodified lm-eval package asks for likelihoods as for a task, alone and in batches; they are
the same, and those that `ponder logits` gives for the same tokens (test_serve.c compares them to the bit, in one process).
Next: run.sh."""
import math, subprocess, sys, tempfile

import numpy
from lm_eval.api.instance import Instance
from lm_eval.models.api_models import JsonChatStr
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
from importlib.metadata import version

url, ponder, model = sys.argv[1:4]
pairs = [("The capital of France is", " Paris"), ("The capital of France is", " London"), ("Two and two make", " four"),
         ("Water is", " wet and cold"), ("A", " cat sat on the mat"), ("Once upon a time there was", " a king")]


def ask(batch):
    lm = LocalCompletionsAPI(model="tiny", base_url=url + "/v1/completions", tokenizer_backend="remote", batch_size=batch,
                             num_concurrent=1, max_length=512)
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    return lm, lm.loglikelihood(requests)


def log_softmax(row, token):
    row = row.astype(numpy.float64)
    return row[token] - row.max() - math.log(numpy.exp(row - row.max()).sum())


def direct(ids):
    """log p of each token after the first, from `ponder logits`."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([ponder, "logits", "-m", model, "-ctk", "i16", "-o", out.name, "--tokens", ",".join(map(str, ids))], check=True, stdout=subprocess.DEVNULL)
        rows = numpy.fromfile(out.name, dtype=numpy.float32).reshape(len(ids), -1)
    return [log_softmax(rows[i], ids[i + 1]) for i in range(len(ids) - 1)]


lm, alone = ask(1)
_, batched = ask(4)
assert alone == batched, (alone, batched)
print("likelihoods of lm-eval", version("lm_eval"), "are the same alone and in batches:", [round(a[0], 3) for a in alone])
for (context, rest), (got, greedy) in zip(pairs, alone):
    ids, more = lm._encode_pair(context, rest)
    want = direct(ids + more)[len(ids) - 1:]
    assert abs(got - sum(want)) < 1e-4, (context, rest, got, sum(want))

words = lm.generate_until([Instance("generate_until", {}, ("The capital of France is", {"until": ["\n"], "max_gen_toks": 8, "temperature": 0}), 0)])
assert "Paris" in words[0], words
chat = LocalChatCompletion(model="tiny", base_url=url + "/v1/chat/completions", batch_size=1, num_concurrent=2)
talk = JsonChatStr('[{"role": "user", "content": "Say one word."}]')
said = chat.generate_until([Instance("generate_until", {}, (talk, {"max_gen_toks": 8, "temperature": 0}), 0)])
assert said[0], said
