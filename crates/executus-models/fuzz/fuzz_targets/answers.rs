//! The first byte names a provider, the second says how its answer is cut. Whatever comes, streamed or
//! whole: no panic, the same reply however it is cut, within the limits, and figures that can be added
//! up; an error that is short.
#![no_main]

use executus_core::{ModelError, Reply};
use executus_models::{Provider, fuzzing};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;
/// Beyond this a figure is nonsense.
const MOST_TOKENS: u64 = 1 << 40;

fn check(read: &Result<Reply, ModelError>) {
    match read {
        Ok(reply) => {
            assert!(reply.text.len() <= LIMIT + 1024, "{} bytes of text", reply.text.len());
            let usage = &reply.usage;
            assert!(usage.input_tokens <= MOST_TOKENS && usage.output_tokens <= MOST_TOKENS);
        }
        Err(error) => assert!(error.to_string().len() < 4096, "{error}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let [provider, cut, answer @ ..] = data else { return };
    let provider = Provider::ALL[usize::from(*provider) % Provider::ALL.len()];
    let stream = |size: usize| {
        let mut said = String::new();
        let mut say = |piece: &str| said.push_str(piece);
        let read = fuzzing::streamed(provider, answer.chunks(size), LIMIT, &mut say);
        check(&read);
        if let Ok(reply) = &read {
            assert!(
                reply.text.starts_with(&said) || said.len() >= LIMIT,
                "what was said is the text"
            );
        }
        (read, said)
    };
    let (whole, cut) = (stream(answer.len().max(1)), stream(usize::from(*cut).max(1)));
    assert_eq!(whole, cut, "however it is cut");
    check(&fuzzing::whole(provider, answer, LIMIT));
});
