//! Tests of the OpenAI wire format on its own, without a network.

use super::*;
use crate::chat::{ChatMessage, Role};
use proptest::prelude::*;
use std::sync::Arc;

fn request(delivery: Delivery) -> ChatRequest {
    ChatRequest {
        system: "Rules \"quoted\" \u{1F600}".into(),
        messages: vec![ChatMessage { role: Role::User, text: "earlier\n\u{0}".into() }],
        question: "And?".to_owned(),
        passages: Arc::from([]),
        from_sources: "From the sources. [1]".into(),
        max_output_tokens: 500,
        temperature: 0.25,
        delivery,
        counted: std::sync::OnceLock::new(),
    }
}

fn body(dialect: Dialect, model: &str, delivery: Delivery) -> serde_json::Value {
    let mut out = Vec::new();
    write_body(dialect, model, &request(delivery), &mut out);
    serde_json::from_slice(&out).expect("JSON")
}

fn read(chunks: &[&[u8]]) -> (Result<(), FailureClass>, Gathered) {
    let (mut stream, mut gathered) = (OpenAiStream::default(), Gathered::default());
    let mut outcome = chunks.iter().try_for_each(|chunk| stream.feed(chunk, &mut gathered));
    if outcome.is_ok() {
        outcome = stream.end(&mut gathered);
    }
    (outcome, gathered)
}

fn delta(text: &str) -> String {
    format!(
        "data: {}\n\n",
        serde_json::json!({"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}], "usage": null})
    )
}

const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn the_body_has_what_the_dialect_asks_for() {
    let compatible = body(Dialect::Compatible, "local", Delivery::Streamed);
    assert_eq!(compatible["max_tokens"], 500);
    assert_eq!(compatible["temperature"], 0.25);
    assert_eq!(compatible["stream"], true);
    assert_eq!(compatible["stream_options"]["include_usage"], true);
    assert!(compatible.get("max_completion_tokens").is_none());
    assert_eq!(compatible["messages"].as_array().map(Vec::len), Some(3));
    assert_eq!(compatible["messages"][1]["content"], "earlier\n\u{0}");

    let openai = body(Dialect::OpenAi, "gpt-4o-mini", Delivery::Whole);
    assert_eq!(openai["max_completion_tokens"], 500);
    assert_eq!(openai["temperature"], 0.25);
    assert_eq!(openai["stream"], false);
    assert!(openai.get("max_tokens").is_none() && openai.get("stream_options").is_none());

    for thinking in ["o3-mini", "gpt-5", "gpt-5-nano-2025-08-07", "gpt-5.1"] {
        assert!(body(Dialect::OpenAi, thinking, Delivery::Whole).get("temperature").is_none(), "{thinking}");
    }
}

#[test]
fn a_stream_is_complete_by_a_reason_or_by_done_and_not_otherwise() {
    for (end, finish) in [
        (STOP, Some(Finish::Stop)),
        ("data: [DONE]\n\n", Some(Finish::Other)),
        ("data: [DONE]", Some(Finish::Other)),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n", Some(Finish::Length)),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n", Some(Finish::Filtered)),
        ("", None),
        (": ping\n\n", None),
    ] {
        let (outcome, gathered) = read(&[delta("Hi").as_bytes(), end.as_bytes()]);
        assert_eq!((outcome, gathered.finish), (Ok(()), finish), "{end:?}");
        assert_eq!(gathered.text, "Hi");
    }
    let (outcome, _) = read(&[delta("Hi").as_bytes(), b"data: {\"choices\":[{\"del"]);
    assert_eq!(outcome, Err(FailureClass::Truncated), "an event cut in two is a cut");
}

#[test]
fn what_comes_after_the_end_is_not_part_of_the_answer_but_usage_is_read() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"total_tokens\":15}}\n\n";
    let stream =
        [delta("Hi").as_str(), STOP, delta("!").as_str(), usage, "data: [DONE]\n\n", "data: nonsense\n\n"].concat();
    let (outcome, gathered) = read(&[stream.as_bytes()]);
    assert_eq!(outcome, Ok(()));
    assert_eq!(gathered.text, "Hi");
    assert_eq!(gathered.usage, Some(Usage { input_tokens: 12, output_tokens: 3 }));
}

#[test]
fn variants_of_other_servers_are_understood() {
    for (event, text) in [
        ("{\"choices\":null}", ""),
        ("{\"choices\":[]}", ""),
        ("{}", ""),
        ("{\"choices\":[{\"delta\":null}]}", ""),
        ("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}", ""),
        ("{\"choices\":[{\"delta\":{\"refusal\":\"No.\"}}]}", "No."),
        ("{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}", "a"),
        (
            "{\"choices\":[{\"delta\":{\"content\":\"a\",\"reasoning_content\":\"hm\",\"tool_calls\":[]}}],\"x\":{}}",
            "a",
        ),
    ] {
        let (outcome, gathered) = read(&[format!("data: {event}\n\ndata: [DONE]\n\n").as_bytes()]);
        assert_eq!((outcome, gathered.text.as_str()), (Ok(()), text), "{event}");
    }
}

#[test]
fn errors_and_nonsense_in_a_stream_are_failures() {
    for (event, class) in [
        ("{\"error\":{\"message\":\"boom\"}}", FailureClass::Upstream),
        ("{\"error\":\"boom\"}", FailureClass::Upstream),
        ("nonsense", FailureClass::Malformed),
        ("{\"choices\":[{\"delta\":{\"content\":7}}]}", FailureClass::Malformed),
        ("{\"choices\":[{\"delta\":", FailureClass::Malformed),
        ("7", FailureClass::Malformed),
    ] {
        let (outcome, _) = read(&[format!("data: {event}\n\n").as_bytes()]);
        assert_eq!(outcome, Err(class), "{event}");
    }
}

#[test]
fn an_event_like_the_one_before_is_read_as_if_it_were_parsed() {
    let event = |content: &str, rest: &str| {
        format!("data: {{\"id\":\"x\",\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}}{rest}}}]}}\n\n")
    };
    for (contents, text) in [
        (["a", "b", "c"], "abc"),
        (["a", "", "c"], "ac"),
        (["", "b", "c"], "bc"),
        (["a", "\\n\\\"", "c"], "a\n\"c"),
        (["\\u0041", "b", "\\\\"], "Ab\\"),
        (["a", "{}[],:'", "c"], "a{}[],:'c"),
        (["a", "\u{e9}", "\u{1F600}"], "a\u{e9}\u{1F600}"),
    ] {
        let stream = contents.map(|content| event(content, "")).concat() + "data: [DONE]\n\n";
        let (outcome, gathered) = read(&[stream.as_bytes()]);
        assert_eq!((outcome, gathered.text.as_str()), (Ok(()), text), "{contents:?}");
    }
    // An event that ends the string and goes on is not what it seems.
    let sly = "b\"},\"finish_reason\":\"stop\",\"x\":{\"y\":\"";
    let (outcome, gathered) = read(&[(event("a", "") + &event(sly, "")).as_bytes()]);
    assert_eq!((outcome, gathered.text.as_str(), gathered.finish), (Ok(()), "ab", Some(Finish::Stop)));
    // A raw control character in a string is tolerated, there as in an event that is parsed.
    for stream in [event("a", "") + &event("\u{1}", ""), event("a\u{1}", "")] {
        let (outcome, gathered) = read(&[stream.as_bytes(), b"data: [DONE]\n\n"]);
        assert_eq!((outcome, gathered.text.as_str()), (Ok(()), "a\u{1}"));
    }
    // What comes behind the end is not text, however much it looks like it.
    let (_, gathered) =
        read(&[(event("a", "") + &event("b", ",\"finish_reason\":\"stop\"") + &event("c", "")).as_bytes()]);
    assert_eq!(gathered.text, "ab");
}

#[test]
fn half_characters_in_two_deltas_are_joined() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\\ud83d\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\ude00b\"}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(read(&[stream.as_bytes()]).1.text, "a\u{1F600}b");
}

#[test]
fn a_whole_answer_is_read_or_refused() {
    let read = |body: &str| {
        let mut gathered = Gathered::default();
        read_whole(body.as_bytes(), &mut gathered).map(|()| (gathered.text, gathered.usage, gathered.finish))
    };
    let good = "{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hé\\n\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":99999999999}}";
    let usage = Some(Usage { input_tokens: 5, output_tokens: u32::MAX });
    assert_eq!(read(good), Ok(("Hé\n".to_owned(), usage, Some(Finish::Stop))));
    assert_eq!(read(&good[..good.len() - 3]), Err(FailureClass::Truncated));
    assert_eq!(
        read("{\"choices\":[{\"message\":{\"content\":\"x\"}}]}"),
        Ok(("x".to_owned(), None, Some(Finish::Other)))
    );
    assert_eq!(read("{\"choices\":[]}"), Err(FailureClass::Malformed));
    assert_eq!(read("{\"error\":{\"message\":\"m\"}}"), Err(FailureClass::Upstream));
    assert_eq!(read("<html>"), Err(FailureClass::Malformed));
    assert_eq!(read(""), Err(FailureClass::Truncated));
}

#[test]
fn known_codes_become_our_words_and_unknown_ones_nothing() {
    assert_eq!(
        known_reason(b"{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}"),
        Some("the account has no credit left")
    );
    for body in
        ["{\"error\":{\"code\":\"canary\"}}", "{\"error\":{\"code\":null}}", "{\"error\":\"canary\"}", "canary", ""]
    {
        assert_eq!(known_reason(body.as_bytes()), None, "{body}");
    }
}

proptest! {
    #[test]
    fn the_mould_changes_nothing(texts in proptest::collection::vec("[a\u{e9}\"\\\\{}:,]{0,6}", 1..12)) {
        let stream = texts.iter().map(|text| delta(text)).collect::<String>() + STOP;
        let (outcome, gathered) = read(&[stream.as_bytes()]);
        prop_assert_eq!((outcome, gathered.text), (Ok(()), texts.concat()));
    }

    #[test]
    fn where_the_network_cuts_makes_no_difference(text in "[a\u{e9}\u{1f600}\"\\\\ ]{0,30}", size in 1_usize..64) {
        let stream = [delta(&text).as_str(), STOP, "data: [DONE]\n\n"].concat();
        let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let (outcome, gathered) = read(&chunks);
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(gathered.text, text);
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&[b"data: ", &bytes, b"\n\n"]);
        let _ = read_whole(&bytes, &mut Gathered::default());
        let _ = known_reason(&bytes);
    }
}
