"""What a check has found, told as it is found."""


class Problems:
    """What is wrong, in sentences."""

    def __init__(self):
        self.count = 0

    def add(self, sentence):
        self.count += 1
        print(f"FAILED {sentence}", flush=True)

    def expect(self, holds, sentence):
        if not holds:
            self.add(sentence)
