"""What simulated people run: short cells as in a first lesson with data. They need pandas where the image has it, and nothing
else; each takes less than a tenth of a second on an idle processor, but the first with pandas.
"""

FIRST = "print(6 * 7)"

CELLS = (
    "try:\n    import pandas as pd\nexcept ImportError:\n    pd = None",
    "import random\nrandom.seed(1)\nrows = [(n, n % 7, random.gauss(0, 1)) for n in range(20_000)]\nlen(rows)",
    "if pd:\n    frame = pd.DataFrame(rows, columns=['n', 'group', 'value'])\n    display(frame.head())",
    "total = sum(value * value for _, _, value in rows)\nprint(f'{total:.3f}')",
    "if pd:\n    display(frame.groupby('group')['value'].describe())",
    "for n in range(20):\n    print(n, n ** 2, n ** 3)",
    "by_value = sorted(rows, key=lambda row: row[2])\nby_value[:3]",
    "words = ('the quick brown fox jumps over the lazy dog ' * 2000).split()\n"
    "counts = {word: words.count(word) for word in set(words)}\ncounts",
    "if pd:\n    frame['value'].rolling(50).mean().dropna().tail()",
    "with open('results.csv', 'w') as file:\n    file.writelines(f'{n},{value}\\n' for n, _, value in rows[:2000])",
    "with open('results.csv') as file:\n    print(sum(float(line.split(',')[1]) for line in file))",
)
