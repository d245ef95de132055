"""answers.py: 2,000 pairs of answers judged by tasks/answer.h and by math-verify 0.9; docs/ANSWERS.md lists where they differ and why.
Not part of `make test`: it needs math-verify (python3 -m venv V; V/bin/pip install math-verify==0.9.0) and GSM8K's test set.
Next: docs/ANSWERS.md.

    V/bin/python tests/outside/answers.py gsm8k-test.jsonl          (after `make`; -v prints each disagreement)
"""
import collections
import json
import os
import random
import subprocess
import sys
import tempfile

from math_verify import parse, verify

N_PAIRS = 2000


def plain(n):
    """GSM8K's final number."""
    return n.replace(',', '').strip()


# name, text that a model says about the integer n (a text), whether it is equal to n
NUMBERS = [
    ('box', lambda n: f'So we get $\\boxed{{{n}}}$.', True),
    ('box with money', lambda n: f'\\boxed{{\\${n}}}', True),
    ('box, decimals', lambda n: f'\\boxed{{{n}.00}}', True),
    ('box, groups', lambda n: f'\\boxed{{{int(n):,}}}', True),
    ('box, LaTeX groups', lambda n: '\\boxed{' + f'{int(n):,}'.replace(',', '{,}') + '}', True),
    ('box, narrow groups', lambda n: '\\boxed{' + f'{int(n):,}'.replace(',', ',\\!') + '}', True),
    ('box, narrow groups and blank', lambda n: '\\boxed{' + f'{int(n):,}'.replace(',', ',\\! ') + '}', True),
    ('box, unit in text', lambda n: f'\\boxed{{{n}\\text{{ apples}}}}', True),
    ('box, unit in mathrm', lambda n: f'\\boxed{{{n}\\,\\mathrm{{cm}}}}', True),
    ('box, equation', lambda n: f'\\boxed{{x = {n}}}', True),
    ('box, indexed name', lambda n: f'\\boxed{{x_1 = {n}}}', True),
    ('box, fraction', lambda n: f'\\boxed{{\\frac{{{2 * int(n)}}}{{2}}}}', True),
    ('box, dfrac with blanks', lambda n: f'\\boxed{{ \\dfrac {{ {3 * int(n)} }} {{ 3 }} }}', True),
    ('box, slash', lambda n: f'\\boxed{{{5 * int(n)}/5}}', True),
    ('box, power of ten', lambda n: f'\\boxed{{{int(n) / 100:.2f} \\times 10^2}}', True),
    ('box, chain', lambda n: f'\\boxed{{a + b = {int(n) - 1} + 1 = {n}}}', True),
    ('box, off by one', lambda n: f'\\boxed{{{int(n) + 1}}}', False),
    ('box, sign', lambda n: f'\\boxed{{-{n}}}', False),
    ('box, tenth', lambda n: f'\\boxed{{{n}.1}}', False),
    ('box, dozen', lambda n: f'\\boxed{{{n}\\text{{ dozen}}}}', False),
    ('box, root', lambda n: f'\\boxed{{{n}\\sqrt{{2}}}}', False),
    ('box, variable', lambda n: f'\\boxed{{{n}x}}', False),
    ('answer is', lambda n: f'So the answer is {n}.', True),
    ('answer is money', lambda n: f'The answer is ${n}.', True),
    ('final answer', lambda n: f'The final answer is ${n}$. I hope it is correct.', True),
    ('answer and more', lambda n: f'The answer is {n}, which is 3 more than {int(n) - 3}.', True),
    ('answer out of', lambda n: f'The answer is {n} out of {int(n) + 8}.', True),
    ('answer, bold', lambda n: f'**Answer:** {n} eggs', True),
    ('answer = ', lambda n: f'Answer = {n}\nWe used 3 steps.', True),
    ('heading', lambda n: f'**Final Answer**\n{n}\n\nNote: 3 steps.', True),
    ('last number', lambda n: f'She has 3 * 5 and so ends with {n} dollars.', True),
    ('last number, wrong', lambda n: f'She has {n} and gives away {int(n) + 7}.', False),
    ('minus sign', lambda n: f'It is \u2212{n} degrees.', False),
]

# name, reference, said, equal?  n stands for a number
FORMS = [
    ('root, blank', '@\\sqrt{2}', '@ \\sqrt{2}', True),
    ('root, one digit', '@\\sqrt{2}', '@\\sqrt2', True),
    ('root below', '\\frac{@\\sqrt{2}}{3}', '\\dfrac{@ \\sqrt{2}}{3}', True),
    ('other root', '@\\sqrt{2}', '@\\sqrt{3}', False),
    ('pi', '@\\pi', '@ \\pi', True),
    ('pi, sign of product', '@\\pi', '@ \\cdot \\pi', True),
    ('complex', '@+3i', '@ + 3 i', True),
    ('complex, turned', '@+3i', '@-3i', False),
    ('at least', 'x \\ge @', 'x \\geq @', True),
    ('at least, other', 'x \\ge @', 'x \\le @', False),
    ('plus minus', '@ \\pm 1', '@\\pm1', True),
    ('interval', '(0, @]', '\\left( 0, @ \\right]', True),
    ('interval, closed', '(0, @]', '[0, @]', False),
    ('interval, infinity', '[@, \\infty)', '\\left[ @, \\infty \\right)', True),
    ('union', '(-\\infty, 0) \\cup (@, \\infty)', '(-\\infty,0)\\cup(@,\\infty)', True),
    ('pair', '(@, 2)', '\\left(@,2\\right)', True),
    ('pair, swapped', '(@, 2)', '(2, @)', False),
    ('set', '\\{1, 2, @\\}', '\\{1,2,@\\}', True),
    ('set, other order', '\\{1, 2, @\\}', '\\{@, 2, 1\\}', True),
    ('list and word', '0, @', '0 \\text{ and } @', True),
    ('power', 'x^{@}', 'x^{ @ }', True),
    ('power, braces', 'x^{1@}', 'x^{1}@', False),
    ('polynomial', 'x^2 + @x + 1', 'x^{2}+@ x+1', True),
    ('polynomial, order', 'x^2 + @x + 1', '1 + @x + x^2', True),
    ('function', 'f(x) = @x', '@x', True),
    ('mixed', '\\frac{2@5}{2}', '\\frac{2@5}{2}', True),
    ('decimal', '\\frac{@}{4}', '\\frac{ @ }{ 4 }', True),
    ('matrix', '\\begin{pmatrix}@&2\\\\3&4\\end{pmatrix}', '\\begin{pmatrix} @ & 2 \\\\ 3 & 4 \\end{pmatrix}', True),
    ('matrix, other', '\\begin{pmatrix}@&2\\\\3&4\\end{pmatrix}', '\\begin{pmatrix} @ & 3 \\\\ 2 & 4 \\end{pmatrix}', False),
    ('degrees', '@^\\circ', '@^{\\circ}', True),
    ('percent', '@\\%', '@\\%', True),
    ('logarithm', '\\log_2 @', '\\log_{2}{@}', True),
    ('sine', '\\sin(@x)', '\\sin{(@x)}', True),
    ('power computed', '2^{10}', '1024', True),
    ('sum computed', '@', '@ - 1 + 1', True),
    ('root computed', '2\\sqrt{3}', '\\sqrt{12}', True),
    ('factorial', '120', '5!', True),
    ('exact and rounded', '\\frac{2}{3}', '\\frac{2}{3} \\approx 0.667', True),
    ('rounded', '\\frac{2}{3}', '0.667', False),
    ('product sign', '@x', '@ \\cdot x', True),
    ('decimal factor', '0.5x', '\\frac{1}{2}x', True),
    ('text', '\\text{Monday}', 'Monday', True),
    ('letter', '(B)', '\\text{B}', True),
    ('unit behind root', '@\\sqrt{3}', '@\\sqrt{3}\\text{ cm}', True),
]


def pairs(numbers):
    rng = random.Random(1)
    numbers = [plain(n) for n in numbers if plain(n).isdigit()]
    made = [(name, n, say(n), equal) for n in numbers for name, say, equal in [rng.choice(NUMBERS)]]
    made = made[:N_PAIRS - 1000] if len(made) > N_PAIRS - 1000 else made
    while len(made) < N_PAIRS:
        name, gold, said, equal = rng.choice(FORMS)
        n = rng.choice(numbers)[:3]
        made.append((name, gold.replace('@', n), '\\boxed{' + said.replace('@', n) + '}', equal))
    return made


def ours(made):
    """Builds the small program of answers_pairs.c and asks it."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = os.path.join(tempfile.mkdtemp(), 'pairs')
    sources = ['tests/outside/answers_pairs.c'] + [f'tasks/{f}' for f in sorted(os.listdir(os.path.join(root, 'tasks')))
                                                   if f.startswith('answer') and f.endswith('.c')] + ['tasks/nat.c']
    subprocess.run(['cc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-I.', *sources, '-o', program, '-ljansson'], cwd=root, check=True)
    text = ''.join(json.dumps({'gold': gold, 'said': said}) + '\n' for _, gold, said, _ in made)
    lines = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split('\t') for line in lines]


def theirs(gold, said):
    return verify(parse(f'${gold}$'), parse(said))


def main():
    with open(sys.argv[1]) as f:
        numbers = [json.loads(line)['answer'].split('####')[1] for line in f]
    made = pairs(numbers)
    table = collections.defaultdict(lambda: [0, 0, 0, None])
    wrong = [0, 0]
    for (name, gold, said, equal), (mine, a, b) in zip(made, ours(made)):
        mine, other = mine == '1', bool(theirs(gold, said))
        row = table[name]
        row[0] += 1
        row[1] += mine != equal
        row[2] += other != equal
        wrong[0] += mine != equal
        wrong[1] += other != equal
        if mine != other or mine != equal:
            row[3] = f'{gold} | {said!r} | here {mine} ({a}, {b}), math-verify {other}'
            if '-v' in sys.argv:
                print(name, row[3])
    print(f'{len(made)} pairs; not as meant: here {wrong[0]}, math-verify {wrong[1]}')
    print(f'{"kind":32} pairs  here  math-verify')
    for name, (n, mine, other, example) in sorted(table.items()):
        if mine or other:
            print(f'{name:32} {n:5} {mine:5} {other:12}   {example}')


if __name__ == '__main__':
    main()
