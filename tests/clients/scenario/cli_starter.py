"""Runs the AWS CLI once for each line of JSON on stdin, a list of arguments, and answers with one line: its status, stdout and stderr.

Each run is a process of its own, forked here when the CLI's modules are loaded: loading them anew is most of a call's CPU.
"""

import json
import os
import sys
import tempfile

import awscli.clidriver
import awscli.handlers  # noqa: F401  what the CLI itself imports at its start


def run(arguments, out, err):
    """In the child: never returns."""
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["aws", *arguments]
        status = awscli.clidriver.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)


for line in sys.stdin:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            run(json.loads(line), out, err)
        _, ended = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        print(json.dumps([os.waitstatus_to_exitcode(ended), *texts]), flush=True)
