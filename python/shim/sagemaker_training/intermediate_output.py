"""Intermediate output, which footplate uploads by itself."""


def start_sync(s3_output_location, region, endpoint_url=None):
    return None
