"""distbench whose cells run in its own process: a job of a test then starts one interpreter instead of two."""

from unittest import mock

from distbench.cli import main
from tests.command import Here

if __name__ == "__main__":
    with mock.patch("distbench.cli.celling.LocalExecutor", Here):
        main()
