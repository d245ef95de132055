#!/usr/bin/env python3
"""scorers.py PONDER [N] [TASK...]: compares ponder's checkers with the scorers of reasoning-gym 0.1.25 on N answers a task
(default 10,000): right ones, right ones of other problems, and damaged ones.  Right is a score of 0.999 or more.
Not part of the build: needs `pip install reasoning-gym==0.1.25` in an environment of its own.
Next: docs/TASKS.md."""
import contextlib, io, json, os, random, re, subprocess, sys, tempfile

import reasoning_gym as rg

SEED = 770001  # of no published set
HARD = {
    'countdown': dict(min_numbers=3, max_numbers=9, min_target=100, max_target=1000, min_value=1, max_value=100),
    'puzzle24': dict(min_value=1, max_value=6),
    'basic_arithmetic': dict(min_terms=5, max_terms=10, min_digits=2, max_digits=5),
    'chain_sum': dict(min_terms=5, max_terms=8, min_digits=4, max_digits=6),
    'mini_sudoku': dict(min_empty=6, max_empty=10),
    'n_queens': dict(n=8, min_remove=4, max_remove=6),
    'quantum_lock': dict(difficulty=5),
    'jugs': dict(num_jugs=3, difficulty=8),
    'knights_knaves': dict(n_people=3, depth_constraint=3, width_constraint=3),
    'tower_of_hanoi': dict(min_disks=5, max_disks=7, min_pegs=3, max_pegs=4),
    'futoshiki': dict(min_board_size=4, max_board_size=5, min_difficulty=1, max_difficulty=2),
    'path_star': dict(node_range=50, degree=5, min_path_length=5, max_path_length=5),
    'kakurasu': dict(),
}
EASY = {'path_star': dict(node_range=50, degree=3), 'futoshiki': dict(min_board_size=4, max_board_size=6)}
# Two of the scorers evaluate text, so only these bytes reach them, and neither // nor **, which the questions do not allow;
# puzzle24's never looks at the given numbers.
SAFE = {'countdown': r'(?!.*(//|\*\*))[0-9+\-*/(). ]*', 'puzzle24': r'(?!.*(//|\*\*))[0-9+\-*/(). ]*', 'n_queens': r'[_Q\s]*'}


def score(ds, task, answer, item):
    if task in SAFE and not re.fullmatch(SAFE[task], answer):
        return False
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # one of them prints what it cannot read
            s = ds.score_answer(answer, item)
    except Exception:
        s = 0
    if task == 'puzzle24' and sorted(map(int, re.findall(r'\d+', answer))) != sorted(item['metadata']['numbers']):
        s = 0
    return s is not None and s >= 0.999


def damage(text, rng):
    """One or two small edits: bytes exchanged, doubled, left out, lines swapped, blanks added."""
    t = list(text)
    for _ in range(rng.randint(1, 2)):
        if not t:
            break
        i, kind = rng.randrange(len(t)), rng.randrange(7)
        if kind == 0:
            t[i] = rng.choice(text)
        elif kind == 1:
            del t[i]
        elif kind == 2:
            t.insert(i, t[i])
        elif kind == 3:
            j = rng.randrange(len(t))
            t[i], t[j] = t[j], t[i]
        elif kind == 4:
            t.insert(i, rng.choice(' \n0-.,'))
        elif kind == 5:
            t = list(rng.choice(['', ' ', '\n', '+', '(']) + ''.join(t) + rng.choice(['', ' ', '\n', '.', '.0', ')']))
        else:
            lines = ''.join(t).split('\n')
            rng.shuffle(lines)
            t = list('\n'.join(lines))
    return ''.join(t)


def compare(ponder, task, n, folder):
    rng = random.Random(task)
    items, answers, want = [], [], []
    for level, knobs in (('easy', EASY.get(task, {})), ('hard', HARD[task])):
        ds = rg.create_dataset(task, seed=SEED, size=60, **knobs)
        part = [ds[i] for i in range(60)]
        for i, item in enumerate(part):
            item['id'] = f'{task}-{level}-{i}'
        for k in range(n // 2):
            item = part[rng.randrange(60)]
            right, other = item['answer'], part[rng.randrange(60)]['answer']
            text = right if k % 5 == 0 else other if k % 5 == 1 else damage(right if k % 5 < 4 else other, rng)
            answers.append((item['id'], text))
            want.append(score(ds, task, text, item))
        items += part
    with open(f'{folder}/set', 'w') as f:
        for item in items:
            f.write(json.dumps({'id': item['id'], 'task': task, 'question': item['question']}) + '\n')
    with open(f'{folder}/answers', 'w') as f:
        for i, a in answers:
            f.write(json.dumps({'id': i, 'answer': a}) + '\n')
    out = subprocess.run([ponder, 'judge', '--task', task, '--input', f'{folder}/set', '--answers', f'{folder}/answers'],
                         capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    got = [json.loads(line)['reward'] >= 0.999 for line in out.stdout.splitlines()]
    differ = [(a, w, g) for a, w, g in zip(answers, want, got) if w != g]
    print(json.dumps({'task': task, 'answers': len(got), 'right': sum(want), 'differ': len(differ),
                      'looser': sum(g for _, _, g in differ), 'first': [(i, t[:80]) for (i, t), _, _ in differ[:3]]}), flush=True)
    return len(differ)


if __name__ == '__main__':
    ponder, n = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(1 if sum([compare(ponder, t, n, folder) for t in sys.argv[3:] or sorted(HARD)]) else 0)
