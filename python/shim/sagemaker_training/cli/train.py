"""`python -m sagemaker_training.cli.train`."""

import os

from sagemaker_training import _footplate


def main():
    binary = _footplate.binary()
    os.execv(binary, ["footplate", "train"])


if __name__ == "__main__":
    main()
