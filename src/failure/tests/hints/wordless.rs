//! Hints about exceptions without a message.

use super::of;
use crate::event::Ending;

#[test]
fn an_exception_without_words_is_explained_by_its_library() {
    let stopped = |file: &str| {
        format!(
            "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 3, in <module>\n    rows = load_dataset('json', data_files=files)\n  \
             File \"/usr/lib/python3.12/site-packages/{file}\", line 9, in _split_generators\n    \
             pa_table = next(iter(self._generate_tables(**splits[0].gen_kwargs, allow_full_read=False)))[1]\nStopIteration\n"
        )
    };
    let of_script = |stderr: &str| of(Ending::Exited(1), stderr);
    assert!(of_script(&stopped("datasets/packaged_modules/json/json.py"))[0].contains("no file matches data_files"));
    assert_eq!(of_script(&stopped("acme/rows.py")), [""; 0]);
    let jax = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in <module>\n    jnp.ones(3)\n  \
               File \"/usr/lib/python3.12/site-packages/jax/_src/dispatch.py\", line 89, in apply_primitive\n    outs = fun(*args)\nAssertionError";
    let hidden = "\n--------------------\nFor simplicity, JAX has removed its internal frames from the traceback of the following exception. Set JAX_TRACEBACK_FILTERING=off to include these.\n";
    assert!(of_script(&format!("{jax}{hidden}"))[0].contains("JAX_TRACEBACK_FILTERING=off"));
    assert_eq!(of_script(&format!("{jax}: 3 rows{hidden}")), [""; 0]);
    let shown = "Traceback (most recent call last):\n  File \"/opt/ml/code/train.py\", line 4, in <module>\n    jnp.ones(3)\n  \
                 File \"/usr/lib/python3.12/site-packages/jax/_src/xla_bridge.py\", line 869, in backends\n    assert _default_backend is not None\nAssertionError\n";
    assert!(of_script(shown)[0].contains("jax[cuda12]"));
}
