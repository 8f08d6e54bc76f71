//! The producer's options, checked against each other and in the form that the hot paths read.
//! Not the table of options: ranges and defaults of single ones are `spec/options.toml`. Made once per producer.

use std::time::Duration;

use dohle_protocol::compress::{Compression, Compressor};

use super::partitioner::Partitioner;
use crate::error::{Error, Result};
use crate::generated::options::{Acks, ClientOptions, ProducerOptions};

/// Requests in flight at most with idempotence: as many batches per partition as a broker remembers.
const IDEMPOTENT_IN_FLIGHT: i32 = 5;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub acks: i16,
    pub idempotent: bool,
    /// None: a batch goes when its leader's connection is idle.
    pub linger: Option<Duration>,
    pub batch_size: usize,
    pub max_request_size: usize,
    pub buffer_memory: usize,
    pub max_in_flight: usize,
    pub max_block: Duration,
    pub delivery_timeout: Duration,
    pub request_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub compression: Compression,
    pub compression_level: Option<i32>,
    pub partitioner: Partitioner,
    pub allow_auto_create_topics: bool,
    /// Every batch of such a producer is part of a transaction.
    pub transactional_id: Option<String>,
    pub transaction_timeout: Duration,
}

impl Config {
    pub fn new(options: &ProducerOptions, client: &ClientOptions) -> Result<Self> {
        let idempotent = idempotent(options)?;
        Compressor::new(options.compression, options.compression_level)
            .map_err(|error| Error::invalid_config(format!("compression.level: {error}")))?;
        let linger = options.linger.unwrap_or_default();
        if options.delivery_timeout <= linger {
            return Err(Error::invalid_config(format!(
                "delivery.timeout.ms: {} is not above linger.ms ({})",
                options.delivery_timeout.as_millis(),
                linger.as_millis()
            )));
        }
        // Java refuses a delivery timeout below linger + request timeout. Here the request timeout gives way: the one
        // bounds the other, whoever asks for 5 s should not have to know of the second.
        let request_timeout = client.request_timeout.min(options.delivery_timeout - linger);
        Ok(Self {
            acks: acks(options.acks),
            idempotent,
            linger: options.linger,
            batch_size: options.batch_size.min(options.max_request_size),
            max_request_size: options.max_request_size,
            buffer_memory: options.buffer_memory,
            max_in_flight: options.max_in_flight.max(1) as usize,
            // A record's time counts from the call that took it, wherever it waits.
            max_block: options.max_block.min(options.delivery_timeout),
            delivery_timeout: options.delivery_timeout,
            request_timeout,
            retry_backoff: client.retry_backoff,
            retry_backoff_max: client.retry_backoff_max,
            compression: options.compression,
            compression_level: options.compression_level,
            partitioner: Partitioner::new(options.partitioner, options.partitioner_ignore_keys, options.batch_size),
            allow_auto_create_topics: options.allow_auto_create_topics,
            transactional_id: transactional_id(options)?,
            transaction_timeout: options.transaction_timeout,
        })
    }
}

/// Without idempotence there is no transaction: a record could be in it twice, or in none.
fn transactional_id(options: &ProducerOptions) -> Result<Option<String>> {
    let Some(id) = &options.transactional_id else { return Ok(None) };
    if id.is_empty() {
        return Err(Error::invalid_config("transactional.id: is empty"));
    }
    if options.acks != Acks::All {
        return Err(Error::invalid_config(format!(
            "acks: {} does not go with transactional.id, which needs all",
            acks(options.acks)
        )));
    }
    if options.enable_idempotence == Some(false) {
        return Err(Error::invalid_config("enable.idempotence: false does not go with transactional.id"));
    }
    Ok(Some(id.clone()))
}

fn acks(acks: Acks) -> i16 {
    match acks {
        Acks::All => -1,
        Acks::One => 1,
        Acks::Zero => 0,
    }
}

/// Java's rule (KIP-679): on with acks all unless said otherwise; asked for in so many words, it must be possible.
fn idempotent(options: &ProducerOptions) -> Result<bool> {
    let wanted = options.enable_idempotence.unwrap_or(options.acks == Acks::All);
    if !wanted {
        return Ok(false);
    }
    if options.acks != Acks::All {
        return Err(Error::invalid_config(format!(
            "acks: {} does not go with enable.idempotence, which needs all",
            acks(options.acks)
        )));
    }
    if options.max_in_flight > IDEMPOTENT_IN_FLIGHT {
        return Err(Error::invalid_config(format!(
            "max.in.flight.requests.per.connection: {} is above {IDEMPOTENT_IN_FLIGHT}, which enable.idempotence allows",
            options.max_in_flight
        )));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(options: &ProducerOptions) -> Result<Config> {
        Config::new(options, &ClientOptions::default())
    }

    #[test]
    fn idempotence_is_on_by_default_and_off_with_weaker_acks() {
        assert!(made(&ProducerOptions::default()).unwrap().idempotent);
        for acks in [Acks::One, Acks::Zero] {
            let options = ProducerOptions { acks, max_in_flight: 100, ..Default::default() };
            assert!(!made(&options).unwrap().idempotent);
        }
    }

    #[test]
    fn options_that_exclude_each_other_are_named() {
        let options = ProducerOptions { acks: Acks::One, enable_idempotence: Some(true), ..Default::default() };
        assert!(made(&options).unwrap_err().message().starts_with("acks: 1 does not go with enable.idempotence"));
        let options = ProducerOptions { max_in_flight: 6, ..Default::default() };
        assert!(made(&options).unwrap_err().message().contains("6 is above 5"));
        let options = ProducerOptions { max_in_flight: 6, enable_idempotence: Some(false), ..Default::default() };
        assert_eq!(made(&options).unwrap().max_in_flight, 6);
    }

    #[test]
    fn a_transactional_producer_is_idempotent() {
        let with = |change: fn(&mut ProducerOptions)| {
            let mut options = ProducerOptions { transactional_id: Some("t".to_owned()), ..Default::default() };
            change(&mut options);
            made(&options).map_err(|error| error.message().to_owned())
        };
        assert!(with(|_| {}).unwrap().idempotent);
        assert_eq!(
            with(|o| o.acks = Acks::One).unwrap_err(),
            "acks: 1 does not go with transactional.id, which needs all"
        );
        let refused = with(|o| o.enable_idempotence = Some(false)).unwrap_err();
        assert_eq!(refused, "enable.idempotence: false does not go with transactional.id");
        assert_eq!(with(|o| o.transactional_id = Some(String::new())).unwrap_err(), "transactional.id: is empty");
    }

    #[test]
    fn the_request_timeout_gives_way_to_a_short_delivery_timeout() {
        let options = ProducerOptions { delivery_timeout: Duration::from_secs(5), ..Default::default() };
        assert_eq!(made(&options).unwrap().request_timeout, Duration::from_secs(5));
        let options = ProducerOptions { linger: Some(Duration::from_secs(120)), ..Default::default() };
        assert!(
            made(&options).unwrap_err().message().starts_with("delivery.timeout.ms: 120000 is not above linger.ms")
        );
    }
}
