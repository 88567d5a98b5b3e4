"""The log."""

import logging


def get_logger():
    return logging.getLogger("sagemaker-training-toolkit")


def configure_logger(level, log_format="%(asctime)s %(name)-12s %(levelname)-8s %(message)s"):
    """Sets the level and the format of all loggers, and keeps those of boto3 quiet."""
    logging.basicConfig(format=log_format, level=level)
    if level >= logging.INFO:
        for name in ("boto3", "s3transfer", "botocore"):
            logging.getLogger(name).setLevel(level)


def log_script_invocation(cmd, env_vars, logger=None):
    """Logs a command. Variables are named and not shown, because some are secret."""
    names = " ".join(sorted(env_vars))
    (logger or get_logger()).info("Invoking user script: %s (variables: %s)", " ".join(map(str, cmd)), names)
