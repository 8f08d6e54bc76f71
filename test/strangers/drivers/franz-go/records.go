package main

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func big() []byte { return []byte(strings.Repeat("x", 20_000)) }

func at(after int) time.Time { return time.UnixMilli(int64(t0 + after)) }

// produce sends to partition 0 and waits.
func produce(options []kgo.Opt, records ...*kgo.Record) kgo.ProduceResults {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	producer := client(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)...)
	defer producer.Close()
	return producer.ProduceSync(ctx, records...)
}

// read gives the records from an offset to the end of the partition as it is now.
func read(topic string, partition int32, from kgo.Offset, count int, options ...kgo.Opt) []*kgo.Record {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	places := map[string]map[int32]kgo.Offset{topic: {partition: from}}
	consumer := client(append([]kgo.Opt{kgo.ConsumePartitions(places)}, options...)...)
	defer consumer.Close()
	var records []*kgo.Record
	for len(records) < count {
		fetches := consumer.PollFetches(ctx)
		check(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

func values(records []*kgo.Record) []any {
	list := []any{}
	for _, record := range records {
		list = append(list, text(record.Value))
	}
	return list
}

func offsets(records []*kgo.Record) []int64 {
	list := []int64{}
	for _, record := range records {
		list = append(list, record.Offset)
	}
	return list
}

func codecCase(topic, name string) result {
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[name]
	records := []*kgo.Record{
		{Key: []byte("k0"), Value: []byte("v0"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h", Value: []byte("2")}}},
		{Value: []byte("no key")},
		{Key: []byte("k2")},
		{Key: []byte("k3"), Value: []byte{}, Headers: []kgo.RecordHeader{{Key: "empty", Value: []byte{}}}},
		{Key: []byte("big"), Value: big()},
	}
	for i, record := range records {
		record.Topic, record.Timestamp = topic, at(i*1000)
	}
	check(produce([]kgo.Opt{kgo.ProducerBatchCompression(codec)}, records...).FirstErr())
	list := []result{}
	for _, record := range read(topic, 0, kgo.NewOffset().AtStart(), len(records)) {
		headers := [][]any{}
		for _, header := range record.Headers {
			headers = append(headers, []any{header.Key, text(header.Value)})
		}
		list = append(list, result{
			"offset": record.Offset, "key": text(record.Key), "value": text(record.Value), "headers": headers,
			"timestamp": record.Timestamp.UnixMilli(),
		})
	}
	return result{"records": list}
}

func tooLarge(topic string) result {
	none := []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}
	refused := produce(none, &kgo.Record{Topic: topic, Value: big()})
	taken := produce(none, &kgo.Record{Topic: topic, Value: []byte("small")})
	check(taken.FirstErr())
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		end, _ := must(admin.ListEndOffsets(ctx, topic)).Lookup(topic, 0)
		return result{"error": code(refused.FirstErr()), "offset": taken[0].Record.Offset, "end": end.Offset}
	})
}

func appendTime(topic string) result {
	check(produce(nil, &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: at(0)}).FirstErr())
	record := read(topic, 0, kgo.NewOffset().AtStart(), 1)[0]
	kinds := map[int8]string{-1: "NotAvailable", 0: "CreateTime", 1: "LogAppendTime"}
	near := time.Since(record.Timestamp).Abs() < time.Hour
	return result{"type": kinds[record.Attrs.TimestampType()], "brokersClock": near}
}

func autoCreate(name string) result {
	topic := name + "-auto"
	sent := produce([]kgo.Opt{kgo.AllowAutoTopicCreation()}, &kgo.Record{Topic: topic, Value: []byte("v")})
	check(sent.FirstErr())
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		found := must(admin.ListTopics(ctx, topic))
		return result{"offset": sent[0].Record.Offset, "partitions": len(found[topic].Partitions)}
	})
}

func fetch(topic string) result {
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		ends := func(found kadm.ListedOffsets, err error) (list []int64) {
			check(err)
			for partition := int32(0); partition < 2; partition++ {
				end, _ := found.Lookup(topic, partition)
				list = append(list, end.Offset)
			}
			return list
		}
		records := read(topic, 1, kgo.NewOffset().At(4), 6)
		reset := read(topic, 1, kgo.NewOffset().At(100), 1, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		return result{
			"values": values(records), "offsets": offsets(records), "reset": reset[0].Offset,
			"earliest": ends(admin.ListStartOffsets(ctx, topic)), "latest": ends(admin.ListEndOffsets(ctx, topic)),
		}
	})
}

func seekByTime(topic string) result {
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		var found []any
		for _, after := range []int{-1, 4_500, 5_000, 9_001} {
			// kadm gives the end where no record is as late, and says so by the timestamp.
			end, _ := must(admin.ListOffsetsAfterMilli(ctx, int64(t0+after), topic)).Lookup(topic, 0)
			if check(end.Err); end.Timestamp < 0 {
				found = append(found, nil)
			} else {
				found = append(found, end.Offset)
			}
		}
		return result{"offsets": found, "values": values(read(topic, 0, kgo.NewOffset().AfterMilli(t0+4_500), 5))}
	})
}

func listOffsets(topic string) result {
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		offset := func(found kadm.ListedOffsets, err error) int64 {
			check(err)
			end, _ := found.Lookup(topic, 0)
			check(end.Err)
			return end.Offset
		}
		return result{
			"earliest": offset(admin.ListStartOffsets(ctx, topic)),
			"latest":   offset(admin.ListEndOffsets(ctx, topic)),
			"byTime":   offset(admin.ListOffsetsAfterMilli(ctx, t0+1, topic)),
			"largest":  offset(admin.ListMaxTimestampOffsets(ctx, topic)),
		}
	})
}

func transactions(topic string) result {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	group := topic + "-group"
	producer := func() *kgo.Client {
		return client(kgo.TransactionalID(topic+"-tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	one := producer()
	defer one.Close()
	begin := func(values ...string) {
		check(one.BeginTransaction())
		for _, value := range values {
			check(one.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr())
		}
	}
	begin("a0", "a1")
	check(one.EndTransaction(ctx, kgo.TryCommit))
	begin("b0", "b1")
	check(one.EndTransaction(ctx, kgo.TryAbort))
	begin("c0")
	commitInTransaction(ctx, one, topic, group, 2)
	check(one.EndTransaction(ctx, kgo.TryCommit))
	begin("d0")
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		ends := func() []int64 {
			stable, _ := must(admin.ListCommittedOffsets(ctx, topic)).Lookup(topic, 0)
			high, _ := must(admin.ListEndOffsets(ctx, topic)).Lookup(topic, 0)
			return []int64{stable.Offset, high.Offset}
		}
		open, start := ends(), kgo.NewOffset().AtStart()
		committed := read(topic, 0, start, 3, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		uncommitted := read(topic, 0, start, 6, kgo.FetchIsolationLevel(kgo.ReadUncommitted()))
		two := producer()
		defer two.Close()
		_, _, err := two.ProducerID(ctx)
		check(err)
		lost := code(one.EndTransaction(ctx, kgo.TryCommit))
		group, _ := must(admin.FetchOffsets(ctx, group)).Lookup(topic, 0)
		return result{
			"committed": values(committed), "offsets": offsets(committed), "uncommitted": values(uncommitted[:5]),
			"ends": open, "groupOffset": group.At, "fenced": lost == 90 || lost == 47, "final": ends(),
		}
	})
}
