//! Hints about hubs of models and data, and about services that track experiments.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for a gated model or data set of the Hugging Face Hub.
pub(super) fn gated(facts: &HintFacts<'_>) -> Option<String> {
    let wordings = [
        "trying to access a gated repo",
        "Cannot access gated repo",
        "GatedRepoError",
        "is a gated dataset on the Hub",
        "huggingface*is a gated repository",
        "awaiting a review from the repo authors",
        "Access to model * is restricted",
        "Access to dataset * is restricted",
    ];
    facts.wording(&wordings)?;
    let page = facts.between("https://huggingface.co/", " ").map(|rest| rest.trim_end_matches(['.', ',']));
    let name = page.map(|page| page.split("/resolve/").next().unwrap_or(page)).map(|name| format!(" {name}"));
    let name = name.unwrap_or_default();
    let has_token = facts.wording(&["403", "not in the authorized list", "awaiting a review"]).is_some();
    Some(if has_token {
        format!(
            "the token has no access to the gated repository{name}; ask for access on its page with the account of HF_TOKEN, or use another token"
        )
    } else {
        format!(
            "the repository{name} is gated; accept its terms on its page, then give the job a token of that account in HF_TOKEN (environment)"
        )
    })
}

/// Returns the hint for an error of a hub.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    facts.advice_of_chain(HUBS)
}

/// Returns the hint for an error of a service that tracks experiments, or of another service that needs a key.
pub(super) fn tracking(facts: &HintFacts<'_>) -> Option<String> {
    facts.advice_of_chain(TRACKERS)
}

const HUBS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "Repo id must be in the form 'repo_name' or 'namespace/repo_name'",
            "Repo id must use alphanumeric chars",
            "are not local folders",
            "is not a local folder or a valid repository name",
        ],
        hint: "this folder does not exist here, so its path was taken for the name of a model; check the path (a channel's is in \
               SM_CHANNEL_…) and that the files are in it",
    },
    HintRow {
        wordings: &[
            "Invalid user token",
            "Invalid credentials in Authorization header",
            "LocalTokenNotFoundError",
            "Token is required (",
            "Token is required to call",
            "You must provide a token or be logged in",
            "huggingface*Invalid username or password",
            "401 Client Error: Unauthorized for url: https://huggingface.co",
            "Client error '401 Unauthorized' for url 'https://huggingface.co",
            "Invalid token passed!",
        ],
        hint: "the Hugging Face Hub asks for a valid token; set HF_TOKEN in the job's environment to a token with access (a private or \
               missing repository is reported so too: check its name)",
    },
    HintRow {
        wordings: &[
            "403 Forbidden: You don't have the rights",
            "403 Client Error: Forbidden for url: https://huggingface.co",
            "Client error '403 Forbidden' for url 'https://huggingface.co",
            "You don't have the rights to create a model under",
            "you must use a write token to upload to a repository",
        ],
        hint: "the Hugging Face token may not do this; use a token with write access to that account or organisation (HF_TOKEN)",
    },
    HintRow {
        wordings: &[
            "429 Client Error: Too Many Requests for url: https://huggingface.co",
            "Client error '429 Too Many Requests' for url 'https://huggingface.co",
            "We had to rate limit",
        ],
        hint: "the Hugging Face Hub limits the requests; set HF_TOKEN, which raises the limit, download once (snapshot_download on one rank), or bring the \
               files as a channel from S3",
    },
    HintRow {
        wordings: &["RevisionNotFoundError", "Revision Not Found for url", "is not a valid git identifier"],
        hint: "the repository has no such revision; correct the revision (branch, tag or commit)",
    },
    HintRow {
        wordings: &[
            "Repository Not Found for url",
            "RepositoryNotFoundError",
            "is not a local folder and is not a valid model identifier",
            "is not a valid model identifier listed on",
            "doesn't exist on the Hub or cannot be accessed",
            "Can't load tokenizer for '",
            "Can't load the model for '",
            "Can't load the configuration of '",
            "Can't load config for '",
        ],
        hint: "the Hub has no such repository, or it is private, and no such folder exists here; check the name or path, and for a \
               private one set HF_TOKEN to a token with access",
    },
    HintRow {
        wordings: &["does not appear to have a file named", "EntryNotFoundError: 404", "Entry Not Found for url"],
        hint: "the repository or folder lacks this file; check that it is complete (config.json, weights, tokenizer), its revision, and \
               the file's name",
    },
    HintRow {
        wordings: &[
            "We couldn't connect to 'https://h",
            "OfflineModeIsEnabled",
            "outgoing traffic has been disabled",
            "An error happened while trying to locate the file",
            "Cannot find the requested files in the disk cache",
            "Cannot reach https://huggingface.co: offline mode is enabled",
            "Couldn't reach '*' on the Hub",
            "Couldn't reach * on the Hub",
            "host='huggingface.co'",
            "host='hf.co'",
            "host='cdn-lfs",
            "Can't load the * with `HF_HUB_OFFLINE",
        ],
        hint: "the Hugging Face Hub was not reached (no internet in a VPC or with network isolation, or HF_HUB_OFFLINE is set); bring the \
               files as a channel from S3 and pass their folder, or give the job's network a NAT gateway",
    },
    HintRow {
        wordings: &[
            "pass the argument `trust_remote_code=True`",
            "set the option `trust_remote_code=True`",
            "Please pass the argument `trust_remote_code",
        ],
        hint: "the repository runs code of its own; read it, then pass trust_remote_code=True and pin its revision",
    },
    HintRow {
        wordings: &["but Transformers does not recognize this architecture"],
        hint: "the installed transformers is older than this kind of model, or config.json names another model_type; set a newer transformers in \
               requirements.txt",
    },
    HintRow {
        wordings: &["Weights only load failed"],
        hint: "torch.load reads only weights since torch 2.6, and this file has other objects; if you trust it, pass weights_only=False, or name its \
               classes with torch.serialization.add_safe_globals; else save only a state_dict",
    },
    HintRow {
        wordings: &["Please use the NLTK Downloader to obtain the resource"],
        hint: "NLTK's data is not in the image; run nltk.download when the image is built, or bring the data as a channel and set \
               NLTK_DATA",
    },
    HintRow {
        wordings: &["[E050] Can't find model '"],
        hint: "the spaCy model is not installed; add the URL of its wheel to requirements.txt, or install it in the image",
    },
];

const TRACKERS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "api_key not configured (no-tty)",
            "No API key configured. Use `wandb login`",
            "WANDB_API_KEY invalid",
            "wandb*API key must be",
            "API key must be 40 characters long",
            "API key must have 40",
            "wandb*user is not logged in",
            "wandb*permission denied",
            "Error uploading run: returned error 401",
            "wandb: ERROR It appears that you do not have permission to access the requested resource",
            "wandb*The API key you provided is either invalid or missing",
        ],
        hint: "Weights & Biases has no valid key; set WANDB_API_KEY in the job's environment, or WANDB_MODE=offline (or disabled)",
    },
    HintRow {
        wordings: &["CommError: Run initialization has timed out"],
        hint: "Weights & Biases was not reached in time (no internet in a VPC or with network isolation, or a slow server); set \
               WANDB_MODE=offline, or give the job's network a NAT gateway",
    },
    HintRow {
        wordings: &["comet_ml*API key", "Comet.ml requires an API key"],
        hint: "Comet has no key; set COMET_API_KEY in the job's environment",
    },
    HintRow {
        wordings: &["NeptuneMissingApiTokenException", "Neptune API token was not found"],
        hint: "Neptune has no token; set NEPTUNE_API_TOKEN in the job's environment",
    },
    HintRow {
        wordings: &["api/2.0/mlflow/"],
        hint: "the MLflow server did not answer as asked; check MLFLOW_TRACKING_URI, its credentials, and that the job's network reaches it",
    },
];
