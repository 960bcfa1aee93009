//! What of an answer is unfinished when its connection leaves the library: its head and all, or the rest of its body.
//!
//! Owns: handing either over instead of dropping it, where that is wanted (`Silence::take`). Never decides when that is.

use super::noted::NotedBody;
use super::watch::{Activity, RunningRequest};
use axum::body::Body;
use http::Response;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An answer that is being made.
pub(super) type Making = Pin<Box<dyn Future<Output = Response<NotedBody>> + Send>>;

/// What is taken out of the library.
pub(super) enum Unfinished {
    /// Nothing of the answer exists.
    Whole(Making),
    /// The head went out; this is the rest of the body, and that it runs.
    Body(Body, RunningRequest),
}

/// An answer whose head is still to come. Empty once it has come, or is handed over.
pub(super) struct HeadToCome {
    making: Option<Making>,
    activity: Arc<Activity>,
}

impl HeadToCome {
    pub(super) fn new(making: Making, activity: &Arc<Activity>) -> Self {
        Self { making: Some(making), activity: Arc::clone(activity) }
    }
}

impl Future for HeadToCome {
    type Output = Result<Response<NotedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(making) = &mut self.making else { return Poll::Pending };
        let made = making.as_mut().poll(context);
        let activity = &self.activity;
        activity.silence.note_answer(made.is_pending(), || activity.now());
        made.map(|response| {
            self.making = None;
            Ok(response)
        })
    }
}

impl Drop for HeadToCome {
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            self.activity.silence.hand_over(Unfinished::Whole(making));
        }
    }
}
