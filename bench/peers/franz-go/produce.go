package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// produce sends as fast as records go, or with at most `window` of them under way.
func produce(j *job) {
	// 5 ms of linger as librdkafka has it; with a window, waiting would only cost.
	linger := 5 * time.Millisecond
	if j.window > 0 {
		linger = 0
	}
	client := j.producer(linger)
	var settled, failed atomic.Int64
	slots := make(chan struct{}, max(j.window, 1))
	report := func(_ *kgo.Record, err error) {
		settled.Add(1)
		if err != nil && failed.Add(1) == 1 {
			fmt.Fprintln(os.Stderr, err)
		}
		if j.window > 0 {
			<-slots
		}
	}
	send := func(from, to int64) {
		for i := from; i < to; i++ {
			if j.window > 0 {
				slots <- struct{}{}
			}
			// Blocks when too many records wait, as its documentation has it.
			client.Produce(context.Background(), &kgo.Record{Topic: j.topic, Key: j.key(i), Value: j.value(i)}, report)
		}
		must(client.Flush(context.Background()))
	}
	send(0, j.warmup)
	w := begin()
	send(j.warmup, j.warmup+j.records)
	w.end(j.records, settled.Load()-failed.Load(), nil)
	client.Close()
}

// sequential sends one record after the other; with acks 0 a flush ends the time.
func sequential(j *job) {
	client := j.producer(0)
	latencies := make([]time.Duration, 0, j.records)
	var w *watch
	for i := int64(0); i < j.warmup+j.records; i++ {
		if i == j.warmup {
			w = begin()
		}
		begun := time.Now()
		must(client.ProduceSync(context.Background(), &kgo.Record{Topic: j.topic, Value: j.value(i)}).FirstErr())
		if i >= j.warmup {
			latencies = append(latencies, time.Since(begun))
		}
	}
	must(client.Flush(context.Background()))
	w.end(j.records, j.warmup+j.records, latencies)
	client.Close()
}
