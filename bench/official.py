#!/usr/bin/env python3
"""official.py PONDER: writes tasks/official.c, the contents of the published test sets of reasoning-gym 0.1.25 (seed 45, 50 items a
task and level), so that no generator ever gives one of them to training.
Not part of the build: needs `pip install reasoning-gym==0.1.25` in an environment of its own.
Next: tasks/official.c."""
import json, os, subprocess, sys, tempfile

import reasoning_gym as rg

# The published settings: {} is the default of the generator.
LEVELS = {
    'countdown': [{}, dict(min_numbers=3, max_numbers=9, min_target=100, max_target=1000, min_value=1, max_value=100)],
    'puzzle24': [{}, dict(min_value=1, max_value=6)],
    'basic_arithmetic': [{}, dict(min_terms=5, max_terms=10, min_digits=2, max_digits=5)],
    'chain_sum': [{}, dict(min_terms=5, max_terms=8, min_digits=4, max_digits=6)],
    'mini_sudoku': [{}, dict(min_empty=6, max_empty=10)],
    'n_queens': [{}, dict(n=8, min_remove=4, max_remove=6)],
    'quantum_lock': [{}, dict(difficulty=5)],
    'jugs': [{}, dict(num_jugs=4, difficulty=10)],
    'knights_knaves': [{}, dict(n_people=3, depth_constraint=3, width_constraint=3)],
    'futoshiki': [{}, dict(min_board_size=6, max_board_size=7, min_difficulty=1, max_difficulty=2)],
    'path_star': [dict(node_range=50, degree=3), dict(node_range=50, degree=5, min_path_length=5, max_path_length=5)],
    'kakurasu': [{}],
}
HEAD = '''/* official.c: problems of the published test sets, by content, sorted: never trained on.
 * Not the towers of Hanoi: of those there are so few that all are known.
 * Next: task.c, which asks.  Written by bench/official.py. */
#include "tasks/task_internal.h"

/* clang-format off */
static const uint64_t contents[] = {
'''
TAIL = '''};
/* clang-format on */

bool is_official(uint64_t content) {
    size_t low = 0, high = sizeof contents / sizeof *contents;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (contents[middle] == content) return true;
        if (contents[middle] < content) low = middle + 1;
        else high = middle;
    }
    return false;
}
'''


def contents(ponder, task, knobs, folder):
    ds = rg.create_dataset(task, seed=45, size=50, **knobs)
    with open(f'{folder}/set', 'w') as f, open(f'{folder}/answers', 'w') as g:
        for i in range(50):
            f.write(json.dumps({'id': i, 'question': ds[i]['question']}) + '\n')
            g.write(json.dumps({'id': str(i), 'answer': ''}) + '\n')
    out = subprocess.run([ponder, 'judge', '--task', task, '--input', f'{folder}/set', '--answers', f'{folder}/answers'],
                         capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    return {json.loads(line)['content'] for line in out.stdout.splitlines()}


if __name__ == '__main__':
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        for task, levels in LEVELS.items():
            new = [contents(os.path.abspath(sys.argv[1]), task, knobs, folder) for knobs in levels]
            print(task, [len(n) for n in new], file=sys.stderr)
            found |= set().union(*new)
    rows = ['0x' + c for c in sorted(found)]
    lines = ['    ' + ', '.join(rows[i:i + 5]) + ',\n' for i in range(0, len(rows), 5)]
    os.chdir(os.path.dirname(os.path.abspath(__file__)) + '/..')
    open('tasks/official.c', 'w').write(HEAD + ''.join(lines) + TAIL)
