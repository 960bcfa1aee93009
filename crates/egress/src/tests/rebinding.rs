//! Names that change their mind, mix their answers or point inside.

use super::support::{ok, serve};
use super::{PUBLIC, Script, Theatre};
use crate::{Call, CallFailure, Fetch, FetchFailure, Reach, Refusal, Url};

fn public(url: &str) -> Fetch {
    Fetch::new(Url::parse(url).unwrap(), Reach::Public)
}

#[tokio::test]
async fn the_stage_works_so_that_silence_of_the_canary_means_something() {
    let site = serve(|_| ok("", "hello")).await;
    let script = Script::of(&[("site.example", &[&[PUBLIC]])]);
    let theatre = Theatre::new(&[("93.184.216.34:80", &site)], script).await;
    let page = theatre.egress.fetch(public("http://site.example/")).await.unwrap();
    assert_eq!(&page.body[..], b"hello");
    theatre.assert_dialled(&["93.184.216.34:80"]);

    // And what is not on the stage does end at the canary.
    let call = Call::get("http://127.0.0.1:9/".parse().unwrap(), Reach::Operator);
    let mut answer = theatre.egress.call(call).await.unwrap();
    assert_eq!(&answer.body.chunk().await.unwrap().unwrap()[..], b"the canary was reached");
    assert_eq!(theatre.canary.connections(), 1);
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_is_never_dialled_there() {
    let site = serve(|_| ok("connection: close\r\n", "hello")).await;
    for turned in ["127.0.0.1", "169.254.169.254", "10.0.0.7", "::1", "fd00:ec2::254", "::ffff:127.0.0.1"] {
        let script = Script::of(&[("rebind.example", &[&[PUBLIC], &[turned]])]);
        let theatre = Theatre::new(&[("93.184.216.34:80", &site)], script).await;
        let first = theatre.egress.fetch(public("http://rebind.example/")).await.unwrap();
        assert_eq!(first.status, 200);
        let second = theatre.egress.fetch(public("http://rebind.example/")).await.unwrap_err();
        assert!(matches!(second.failure(), FetchFailure::Refused(_)), "{turned}: {second}");
        theatre.assert_dialled(&["93.184.216.34:80"]);
    }
}

/// Were the address looked up once to be judged and once more to be dialled, the dial would follow the second answer.
#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_dialled() {
    let site = serve(|_| ok("", "hello")).await;
    let script = Script::of(&[("rebind.example", &[&[PUBLIC], &["127.0.0.1"]])]);
    let theatre = Theatre::new(&[("93.184.216.34:80", &site)], script).await;
    theatre.egress.fetch(public("http://rebind.example/")).await.unwrap();
    theatre.assert_dialled(&["93.184.216.34:80"]);
}

#[tokio::test]
async fn a_redirect_to_the_same_name_is_resolved_and_judged_again() {
    let site =
        serve(|_| b"HTTP/1.1 302 Found\r\nlocation: /again\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec())
            .await;
    let script = Script::of(&[("rebind.example", &[&[PUBLIC], &["127.0.0.1"]])]);
    let theatre = Theatre::new(&[("93.184.216.34:80", &site)], script).await;
    let error = theatre.egress.fetch(public("http://rebind.example/")).await.unwrap_err();
    assert_eq!(*error.failure(), FetchFailure::Refused(Refusal::NotPublic));
    theatre.assert_dialled(&["93.184.216.34:80"]);
}

#[tokio::test]
async fn one_bad_address_among_good_ones_refuses_the_name() {
    let site = serve(|_| ok("", "hello")).await;
    let script = Script::of(&[
        ("first.example", &[&["127.0.0.1", PUBLIC]]),
        ("last.example", &[&[PUBLIC, "192.168.1.1"]]),
        ("six.example", &[&[PUBLIC, "64:ff9b::7f00:1"]]),
        ("mine.example", &[&["198.41.0.4"]]),
        ("mapped.example", &[&["::ffff:198.41.0.4"]]),
        ("nat64.example", &[&["64:ff9b::198.41.0.4"]]),
    ]);
    let own = crate::Egress::builder().own_addresses(["198.41.0.4".parse().unwrap()]);
    let theatre = Theatre::with(own, &[("93.184.216.34:80", &site)], script).await;
    for name in ["first", "last", "six", "mine", "mapped", "nat64"] {
        let url = format!("http://{name}.example/");
        let error = theatre.egress.fetch(public(&url)).await.unwrap_err();
        assert!(matches!(error.failure(), FetchFailure::Refused(_)), "{name}: {error}");
    }
    theatre.assert_dialled(&[]);
}

#[tokio::test]
async fn the_operators_names_may_be_private_but_never_a_metadata_service() {
    let script = Script::of(&[
        ("metadata.example", &[&["169.254.169.254"]]),
        ("azure.example", &[&["168.63.129.16"]]),
        ("six.example", &[&["fd00:ec2::254"]]),
        ("mapped.example", &[&["::ffff:169.254.169.254"]]),
        ("mixed.example", &[&["10.0.0.1", "169.254.169.254"]]),
    ]);
    let theatre = Theatre::new(&[], script).await;
    for host in [
        "metadata.example",
        "azure.example",
        "six.example",
        "mapped.example",
        "mixed.example",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "0xa9fea9fe",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
    ] {
        let url = format!("http://{host}:8080/").parse().unwrap();
        let error = theatre.egress.call(Call::get(url, Reach::Operator)).await.unwrap_err();
        assert_eq!(error.failure(), CallFailure::Refused(Refusal::Metadata), "{host}");
    }
    theatre.assert_dialled(&[]);
}

/// The name passes the check of the URL; only the connector can know that it is public.
#[tokio::test]
async fn plain_http_of_the_operator_stays_in_private_networks() {
    let model = serve(|_| ok("", "{}")).await;
    let script = Script::of(&[("model.example", &[&["10.1.2.3"]]), ("public.example", &[&[PUBLIC]])]);
    let theatre = Theatre::new(&[("10.1.2.3:11434", &model)], script).await;
    let call = |name: &str| {
        let mut call = Call::get(format!("http://{name}:11434/").parse().unwrap(), Reach::Operator);
        call.credential = Some(crate::Credential {
            secret: chatward_types::Secret::new(["not", "-a-", "key"].concat()),
            host: name.to_owned(),
        });
        call
    };
    assert_eq!(theatre.egress.call(call("model.example")).await.unwrap().status, 200);
    let error = theatre.egress.call(call("public.example")).await.unwrap_err();
    assert_eq!(error.failure(), CallFailure::Refused(Refusal::PlainHttp));
    theatre.assert_dialled(&["10.1.2.3:11434"]);
}

#[tokio::test]
async fn failures_look_alike_to_whoever_chose_the_url() {
    let script = Script::of(&[("inside.example", &[&["127.0.0.1"]]), ("none.example", &[&[]])]);
    let theatre = Theatre::new(&[], script).await;
    let mut texts = std::collections::BTreeSet::new();
    for url in [
        "http://inside.example/",
        "http://none.example/",
        "http://unknown.example/",
        "http://127.0.0.1/",
        "http://user@site.example/",
        "ftp://site.example/",
        "http://site.example:8080/",
    ] {
        let error = theatre.egress.fetch(public(url)).await.unwrap_err();
        assert!(!error.public().contains("127"));
        texts.insert(error.public());
        let shown = chatward_types::Error::from(error);
        texts.insert(shown.public().to_owned().leak());
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    theatre.assert_dialled(&[]);
}
