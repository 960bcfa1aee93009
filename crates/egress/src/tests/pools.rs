//! Pooled connections: reused within a reach, never across.

use super::support::{ok, serve};
use super::{PUBLIC, Script, Theatre};
use crate::{Call, Egress, Fetch, FetchFailure, Reach, Refusal, Url};

#[tokio::test]
async fn a_connection_of_the_operators_reach_never_carries_a_strangers_request() {
    let model = serve(|_| ok("", "private")).await;
    let script = Script::of(&[("shared.example", &[&["10.0.0.5"]])]);
    let theatre = Theatre::new(&[("10.0.0.5:80", &model)], script).await;
    let url = Url::parse("http://shared.example/").unwrap();

    for _ in 0..3 {
        let answer = theatre.egress.call(Call::get(url.clone(), Reach::Operator)).await.unwrap();
        assert_eq!(&answer.body.collect().await.unwrap()[..], b"private");
    }
    assert_eq!(model.connections(), 1, "the operator's connection is pooled, so there is one to steal");

    let error = theatre.egress.fetch(Fetch::new(url.clone(), Reach::Public)).await.unwrap_err();
    assert_eq!(*error.failure(), FetchFailure::Refused(Refusal::NotPublic));
    assert_eq!(model.requests().len(), 3);
    theatre.assert_dialled(&["10.0.0.5:80"]);
}

#[tokio::test]
async fn each_reach_dials_for_itself_even_where_both_are_allowed() {
    let site = serve(|_| ok("", "page")).await;
    let script = Script::of(&[("site.example", &[&[PUBLIC]])]);
    let socket = "93.184.216.34:80".parse().unwrap();
    let builder = Egress::builder().exact_socket(socket);
    let theatre = Theatre::with(builder, &[("93.184.216.34:80", &site)], script).await;
    let literal = Url::parse("http://93.184.216.34/").unwrap();
    for reach in [Reach::Public, Reach::Exact(socket), Reach::Public, Reach::Exact(socket)] {
        theatre.egress.fetch(Fetch::new(literal.clone(), reach)).await.unwrap();
    }
    assert_eq!(site.connections(), 2);
}
