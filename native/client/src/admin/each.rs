//! Calls about several items, each with a result of its own: the types around [`super::drive`], which does the work.

use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

use dohle_protocol::Request;
use parking_lot::Mutex;

pub(super) use super::answer::{Answer, unanswered, whole};
pub(super) use super::drive::Route;
use super::drive::{Drive, Verdict};
use super::{Admin, Item};
use crate::collections::Map;
use crate::error::Result;
use crate::net::{Answered, Api, Head};

/// A call about several items.
pub(super) struct Call<'a, K> {
    /// Its name, for errors.
    pub(super) doing: &'static str,
    /// The items.
    pub(super) keys: Vec<K>,
    /// Where each goes.
    pub(super) route: &'a (dyn Fn(&K) -> Route + Sync),
    /// A request holds one item only.
    pub(super) single: bool,
    /// No version above it: newer ones name topics by ids only.
    pub(super) cap: i16,
    /// Its time limit; none: `default.api.timeout.ms`.
    pub(super) timeout: Option<Duration>,
}

impl<'a, K> Call<'a, K> {
    pub(super) fn new(
        doing: &'static str,
        keys: Vec<K>,
        route: &'a (dyn Fn(&K) -> Route + Sync),
        timeout: Option<Duration>,
    ) -> Self {
        Self { doing, keys, route, single: false, cap: i16::MAX, timeout }
    }
}

impl Admin {
    /// As [`Self::each`], for items that go to the controller by their names.
    pub(super) async fn each_on_controller<R: Request, T: Clone + Send>(
        &self,
        doing: &'static str,
        keys: Vec<String>,
        timeout: Option<Duration>,
        make: impl Fn(i16, &[usize], i32) -> Result<R> + Sync,
        answers: impl Fn(R::Response) -> Vec<Answer<T>> + Sync,
    ) -> Result<Vec<Item<T>>> {
        self.each(Call::new(doing, keys, &|_| Route::Controller, timeout), make, |response| Ok(answers(response))).await
    }

    /// Asks about all items, and again about those that must wait or went to the wrong broker. `make` gets the version, the
    /// positions of the items to ask for, and the `timeout_ms` for the broker; `answers` fails when the response does as a whole.
    pub(super) async fn each<K, R, T>(
        &self,
        call: Call<'_, K>,
        make: impl Fn(i16, &[usize], i32) -> Result<R> + Sync,
        answers: impl Fn(R::Response) -> Result<Vec<Answer<T, K>>> + Sync,
    ) -> Result<Vec<Item<T, K>>>
    where
        K: Eq + Hash + Display + Sync,
        R: Request,
        T: Clone + Send,
    {
        let Call { doing, keys, route, single, cap, timeout } = call;
        let values: Mutex<Vec<Option<T>>> = Mutex::new(keys.iter().map(|_| None).collect());
        let read = |indices: &[usize], answered: Answered| {
            let answers = answers(answered.read::<R>()?)?;
            let of = positions(&keys, indices, answers.iter().map(|answer| &answer.key));
            let mut values = values.lock();
            let verdict = |(index, at): (&usize, Option<usize>)| {
                let Some(answer) = at.map(|at| &answers[at]) else { return Verdict::LeftOut };
                if !answer.code.is_none() {
                    return Verdict::Failed(answer.code, answer.message.clone());
                }
                values[*index] = Some(answer.value.clone());
                Verdict::Done
            };
            Ok(indices.iter().zip(of).map(verdict).collect())
        };
        let drive = Drive {
            doing,
            count: keys.len(),
            name: &|index| keys[index].to_string(),
            route: &|index| route(&keys[index]),
            single,
            api: Api::of::<R>(),
            cap,
            timeout,
            write: &|head: Head<'_>, indices, timeout_ms| head.write(&make(head.version(), indices, timeout_ms)?),
            read: &read,
        };
        let results = self.drive(&drive).await?;
        Ok(items(doing, keys, results, values.into_inner()))
    }

    /// A call of its own for each item, all at once. `make` gets the version, the position of the item and the `timeout_ms` for
    /// the broker; `read` fails when the response says so.
    pub(super) async fn apart<K, R, T>(
        &self,
        call: Call<'_, K>,
        make: impl Fn(i16, usize, i32) -> Result<R> + Sync,
        read: impl Fn(usize, R::Response) -> Result<T> + Sync,
    ) -> Vec<Item<T, K>>
    where
        K: Display + Sync,
        R: Request,
        T: Send,
    {
        let Call { doing, keys, route, single, cap, timeout } = call;
        let values: Mutex<Vec<Option<T>>> = Mutex::new(keys.iter().map(|_| None).collect());
        let drive = Drive {
            doing,
            count: keys.len(),
            name: &|index| keys[index].to_string(),
            route: &|index| route(&keys[index]),
            single,
            api: Api::of::<R>(),
            cap,
            timeout,
            write: &|head: Head<'_>, indices, timeout_ms| head.write(&make(head.version(), indices[0], timeout_ms)?),
            read: &|indices, answered: Answered| {
                let value = read(indices[0], answered.read::<R>()?)?;
                values.lock()[indices[0]] = Some(value);
                Ok(vec![Verdict::Done])
            },
        };
        let results = self.drive_apart(&drive).await;
        items(doing, keys, results, values.into_inner())
    }
}

/// For each of these items, which of the answers is about it: the first that is.
fn positions<'a, K: Eq + Hash + 'a>(
    keys: &[K],
    indices: &[usize],
    answered: impl Iterator<Item = &'a K>,
) -> Vec<Option<usize>> {
    let mut told: Map<&K, usize> = Map::default();
    for (at, key) in answered.enumerate() {
        told.entry(key).or_insert(at);
    }
    indices.iter().map(|index| told.get(&keys[*index]).copied()).collect()
}

fn items<T, K>(doing: &str, keys: Vec<K>, results: Vec<Result<()>>, values: Vec<Option<T>>) -> Vec<Item<T, K>> {
    let items = keys.into_iter().zip(results.into_iter().zip(values));
    let item = |(name, (result, value)): (K, (Result<()>, Option<T>))| Item {
        name,
        result: result.and_then(|()| value.ok_or_else(|| unanswered(doing))),
    };
    items.map(item).collect()
}
