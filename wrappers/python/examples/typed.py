"""An example that mypy --strict agrees with."""

import dohle


def report(error: dohle.KafkaError | None, message: dohle.Message) -> None:
    if error is not None:
        print(error.code, error.retriable, error.persistence)
    else:
        print(message.topic(), message.partition(), message.offset())


def main(servers: str) -> None:
    with dohle.Producer(bootstrap_servers=servers, compression_type="zstd", linger_ms=5) as producer:
        producer.produce("orders", b"value", key="key", headers=[("trace", b"1")], on_delivery=report)
        producer.poll(0)
    with dohle.Consumer({"bootstrap.servers": servers}, group_id="typed", auto_offset_reset="earliest") as consumer:
        consumer.subscribe(["orders"], on_assign=lambda _, partitions: print(partitions))
        for message in consumer.consume(100, timeout=5.0):
            value: bytes | None = message.value()
            view: memoryview | None = message.value_view()
            print(value, view, message.headers())
        consumer.commit(asynchronous=False)


if __name__ == "__main__":
    with dohle.EmbeddedBroker() as broker:
        main(broker.address)
