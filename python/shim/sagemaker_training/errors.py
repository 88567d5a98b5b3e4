"""The exceptions."""


class ClientError(Exception):
    """An error of the user's code or configuration, as opposed to one of the framework."""


class SMTrainingCompilerConfigurationError(Exception):
    """An error in the configuration of the training compiler."""


class _CalledProcessError(ClientError):
    """A program that ended with another exit code than 0."""

    def __init__(self, cmd, return_code=None, output=None, info=None):
        self.cmd = cmd
        self.return_code = str(return_code)
        self.output = output
        self.extra_info = info
        super().__init__()

    def __str__(self):
        output = self.output or ""
        if isinstance(output, bytes):
            output = output.decode("utf-8", "replace")
        lines = ["%s:" % type(self).__name__, "ExitCode %s" % self.return_code, 'ErrorMessage "%s"' % output]
        if self.extra_info is not None:
            lines.append('ExtraInfo "%s"' % self.extra_info)
        lines.append('Command "%s"' % self.cmd)
        return "\n".join(lines)


class InstallModuleError(_CalledProcessError):
    """A package that could not be installed."""


class InstallRequirementsError(_CalledProcessError):
    """Requirements that could not be installed."""


class ExecuteUserScriptError(_CalledProcessError):
    """A script that failed."""


class ImportModuleError(ClientError):
    """A module that could not be imported."""


class ChannelDoesNotExistError(Exception):
    """A channel that the job does not have."""

    def __init__(self, channel_name):
        super().__init__("Channel %s is not a valid channel" % channel_name)


class UnsupportedFormatError(Exception):
    """A media type that a framework does not support."""

    def __init__(self, content_type, **kwargs):
        self.message = "Content type %s is not supported by this framework." % content_type
        super().__init__(self.message, **kwargs)
