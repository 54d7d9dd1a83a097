"""Runs the AWS lab: `python test/aws-lab --directory DIR --postgres-bin DIR` (see README.md)."""

from lab.program import main

if __name__ == "__main__":
    main()
