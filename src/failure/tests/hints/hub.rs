//! Hints about hubs of models and data, and about services that track experiments.

use super::{assert_hints, assert_no_hint};

#[test]
fn a_gated_repository_asks_for_its_terms_or_for_another_token() {
    assert_hints(&[
        (
            "OSError: You are trying to access a gated repo.\nMake sure to have access to it at https://huggingface.co/acme/big-7b.\n401 Client Error. (Request ID: Root=1-0a)",
            "the repository acme/big-7b is gated; accept its terms on its page, then give the job a token of that account in HF_TOKEN",
        ),
        (
            "huggingface_hub.errors.GatedRepoError: 403 Client Error. (Request ID: Root=1-0a)\n\nCannot access gated repo for url https://huggingface.co/acme/big-7b/resolve/main/config.json.\nAccess to model acme/big-7b is restricted and you are not in the authorized list.",
            "the token has no access",
        ),
        (
            "datasets.exceptions.DatasetNotFoundError: Dataset 'acme/x' is a gated dataset on the Hub. You must be authenticated to access it.",
            "is gated; accept its terms",
        ),
    ]);
    assert_no_hint(&[
        "ValueError: a gated recurrent unit needs hidden_size",
        "PermissionError: the repository of models is locked",
    ]);
}

#[test]
fn errors_of_the_hub_have_a_remedy() {
    assert_hints(&[
        (
            "ValueError: The checkpoint you are trying to load has model type `acme9` but Transformers does not recognize this architecture. This could be because of an issue with the checkpoint, or because your version of Transformers is out of date.",
            "the installed transformers is older than this kind of model",
        ),
        (
            "_pickle.UnpicklingError: Weights only load failed. This file can still be loaded, to do so you have two options, do those steps only if you trust the source of the checkpoint.",
            "weights_only=False",
        ),
        (
            "OSError: acme/nope is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'\nIf this is a private repository, make sure to pass a token",
            "the Hub has no such repository, or it is private",
        ),
        (
            "datasets.exceptions.DatasetNotFoundError: Dataset 'acme/x' doesn't exist on the Hub or cannot be accessed.",
            "the Hub has no such repository",
        ),
        (
            "huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error. (Request ID: Root=1-0a)\n\nRepository Not Found for url: https://huggingface.co/api/models/acme/x.",
            "the Hub has no such repository",
        ),
        (
            "OSError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/opt/ml/input/data/model'. Use `repo_type` argument if needed.",
            "this folder does not exist here",
        ),
        (
            "huggingface_hub.errors.HFValidationError: Repo id must use alphanumeric chars or '-', '_', '.', '--' and '..' are forbidden: './out/'.",
            "this folder does not exist here",
        ),
        (
            "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached files.",
            "the Hugging Face Hub was not reached",
        ),
        (
            "ConnectionError: Couldn't reach 'acme/x' on the Hub (OfflineModeIsEnabled)",
            "the Hugging Face Hub was not reached",
        ),
        (
            "huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate the file on the Hub and we cannot find the requested files in the local cache.",
            "the Hugging Face Hub was not reached",
        ),
        (
            "huggingface_hub.errors.LocalTokenNotFoundError: Token is required (`token=True`), but no token found.",
            "asks for a valid token",
        ),
        (
            "OSError: acme/x does not appear to have a file named config.json. Checkout 'https://huggingface.co/acme/x/tree/main' for available files.",
            "lacks this file",
        ),
        (
            "huggingface_hub.errors.RevisionNotFoundError: 404 Client Error. (Request ID: x)\n\nRevision Not Found for url: https://huggingface.co/acme/x/resolve/v9/config.json.",
            "no such revision",
        ),
        (
            "ValueError: The repository acme/x contains custom code which must be executed to correctly load the model. Please pass the argument `trust_remote_code=True` to allow custom code to be run.",
            "runs code of its own",
        ),
        (
            "LookupError:\n  Resource punkt not found.\n  Please use the NLTK Downloader to obtain the resource:\n  >>> import nltk",
            "NLTK's data",
        ),
        (
            "OSError: [E050] Can't find model 'en_core_web_sm'. It doesn't seem to be a Python package or a valid path to a data directory.",
            "spaCy model",
        ),
    ]);
    assert_no_hint(&[
        "TypeError: load() got an unexpected keyword argument 'trust_remote_code'",
        "ValueError: the model identifier 7 is not valid",
        "KeyError: 'repo_id'",
        "RuntimeError: offline evaluation found no checkpoint",
        "ValueError: a token is required between 'a' and 'b'",
        "ValueError: the architecture of the model type is out of date",
    ]);
}

#[test]
fn trackers_without_a_key_are_named() {
    assert_hints(&[
        ("wandb.errors.errors.UsageError: No API key configured. Use `wandb login` to log in.", "WANDB_API_KEY"),
        (
            "wandb.errors.UsageError: api_key not configured (no-tty). call wandb.login(key=[your_api_key])",
            "WANDB_API_KEY",
        ),
        (
            "wandb.errors.errors.AuthenticationError: WANDB_API_KEY invalid: API key must have 40+ characters, has 3.",
            "WANDB_API_KEY",
        ),
        (
            "mlflow.exceptions.MlflowException: API request to http://127.0.0.1:9/api/2.0/mlflow/runs/create failed with exception HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded",
            "MLFLOW_TRACKING_URI",
        ),
    ]);
    let timeout = "wandb.errors.errors.CommError: Run initialization has timed out after 90.0 sec. Please try increasing the timeout with the `init_timeout` setting";
    assert_hints(&[(timeout, "WANDB_MODE=offline")]);
    assert_no_hint(&["ValueError: the API of the model has no key column", "RuntimeError: wandb sweep has 0 runs"]);
}

#[test]
fn errors_of_the_hub_in_the_words_of_httpx_have_a_remedy() {
    let failed = |status: &str| {
        format!(
            "huggingface_hub.errors.HfHubHTTPError: Client error '{status}' for url 'https://huggingface.co/api/models/acme/x' (Request ID: Root=1-0a)"
        )
    };
    assert_hints(&[
        (&failed("401 Unauthorized"), "asks for a valid token"),
        (&failed("403 Forbidden"), "the Hugging Face token may not do this"),
        (&failed("429 Too Many Requests"), "set HF_TOKEN, which raises the limit"),
        (
            "requests.exceptions.HTTPError: you must use a write token to upload to a repository.",
            "the Hugging Face token may not do this",
        ),
        ("ValueError: Invalid token passed!", "asks for a valid token"),
    ]);
    assert_no_hint(&[
        &failed("400 Bad Request"),
        &failed("403 Forbidden").replace("huggingface.co", "data.example.com"),
        "ValueError: Invalid token passed to the parser in line 3",
    ]);
}
