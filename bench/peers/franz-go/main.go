// franz-go, at its best honest settings (each named where it is set). One process is one round; the flags are those that
// all clients take, the result is one line of JSON on stdout.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type job struct {
	brokers, topic, mode, codec, acks                          string
	records, warmup, window, rate, seconds, partitions, number int64
	clients                                                    int
	data                                                       []byte
	bytes                                                      int
	keys                                                       [][]byte
}

func (j *job) value(i int64) []byte {
	at := int(i%(int64(len(j.data)/j.bytes))) * j.bytes
	return j.data[at : at+j.bytes]
}

func (j *job) key(i int64) []byte {
	if j.keys == nil {
		return nil
	}
	return j.keys[i%int64(len(j.keys))]
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readJob() *job {
	flags := map[string]string{"codec": "none", "acks": "all", "bytes": "100", "partitions": "6", "clients": "1"}
	for i := 1; i+1 < len(os.Args); i += 2 {
		flags[strings.TrimPrefix(os.Args[i], "--")] = os.Args[i+1]
	}
	number := func(name string) int64 {
		if flags[name] == "" {
			return 0
		}
		n, err := strconv.ParseInt(flags[name], 10, 64)
		must(err)
		return n
	}
	data, err := os.ReadFile(flags["data"])
	must(err)
	j := &job{
		brokers: flags["brokers"], topic: flags["topic"], mode: flags["mode"], codec: flags["codec"], acks: flags["acks"],
		records: number("records"), warmup: number("warmup"), window: number("window"), rate: number("rate"),
		seconds: number("seconds"), partitions: number("partitions"), clients: int(number("clients")),
		data: data, bytes: int(number("bytes")),
	}
	if flags["keyed"] == "1" {
		for i := 0; i < 10_000; i++ {
			j.keys = append(j.keys, []byte(strconv.Itoa(i*7919%10_000+10_000_000)))
		}
	}
	return j
}

// watch is the measured window: wall and CPU time of the process.
type watch struct {
	wall time.Time
	cpu  time.Duration
}

func cpu() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func begin() *watch { return &watch{time.Now(), cpu()} }

// arrived starts the wall clock again, not that of the CPU: the first record of a consumer has come.
func (w *watch) arrived() { w.wall = time.Now() }

func (w *watch) end(records, written int64, latencies []time.Duration) {
	wall, used := time.Since(w.wall), cpu()-w.cpu
	status, err := os.ReadFile("/proc/self/status")
	must(err)
	field := func(name string) string {
		for _, line := range strings.Split(string(status), "\n") {
			if rest, found := strings.CutPrefix(line, name+":"); found {
				return strings.Fields(rest)[0]
			}
		}
		return "-1"
	}
	fmt.Printf(`{"version":"%s","records":%d,"written":%d,"seconds":%.6f,"cpuSeconds":%.6f,"peakRssKb":%s,"threads":%s`,
		version(), records, written, wall.Seconds(), used.Seconds(), field("VmHWM"), field("Threads"))
	if len(latencies) > 0 {
		sort.Slice(latencies, func(a, b int) bool { return latencies[a] < latencies[b] })
		at := func(part float64) float64 {
			return float64(latencies[int(float64(len(latencies))*part)].Nanoseconds()) / 1e3
		}
		fmt.Printf(`,"p50":%.1f,"p99":%.1f,"p999":%.1f`, at(0.5), at(0.99), at(0.999))
	}
	fmt.Println("}")
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

func (j *job) producer(linger time.Duration, more ...kgo.Opt) *kgo.Client {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	// Idempotent with acks all (its default). Batches of 1 MB (its default), up to 100,000 records waiting: ten times its
	// default, which is too few for batches of 1 MB to six partitions.
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(j.brokers, ",")...),
		kgo.ProducerBatchCompression(codecs[j.codec]),
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(100_000),
	}
	if j.acks == "0" {
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(append(options, more...)...)
	must(err)
	return client
}

func (j *job) consumer(from, to int64) *kgo.Client {
	offsets := map[int32]kgo.Offset{}
	for p := from; p < to; p++ {
		offsets[int32(p)] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(j.brokers, ",")...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{j.topic: offsets}),
	)
	must(err)
	return client
}

func main() {
	j := readJob()
	switch j.mode {
	case "produce", "enqueue", "single":
		produce(j)
	case "sequential":
		sequential(j)
	case "consume", "consume-batches":
		if j.warmup > 0 {
			consume(j, j.warmup, nil)
		}
		consume(j, j.records, begin())
	case "end-to-end":
		endToEnd(j)
	case "fan":
		fan(j)
	default:
		must(fmt.Errorf("no mode %s", j.mode))
	}
}

// consume polls up to 10,000 records at a time and looks at each: EachRecord is the cheapest way over them.
func consume(j *job, records int64, w *watch) {
	client := j.consumer(0, j.partitions)
	var got int64
	var touched int
	for got < records {
		fetches := client.PollRecords(context.Background(), 10_000)
		must(fetches.Err())
		if got == 0 && w != nil {
			w.arrived()
		}
		fetches.EachRecord(func(r *kgo.Record) { touched += len(r.Value) + int(r.Value[0]) })
		got += int64(fetches.NumRecords())
	}
	if w != nil {
		if touched == 0 {
			must(fmt.Errorf("nothing was read"))
		}
		w.end(records, 0, nil)
	}
	client.Close()
}

func stamp(value []byte) []byte {
	own := append([]byte(nil), value...)
	binary.LittleEndian.PutUint64(own, uint64(time.Now().UnixNano()))
	return own
}

// endToEnd sends every millisecond what is due by then, whether or not earlier records have arrived. No linger (its default).
func endToEnd(j *job) {
	total := j.rate * j.seconds
	producer, consumer := j.producer(0), j.consumer(0, j.partitions)
	latencies := make([]time.Duration, 0, total)
	done := make(chan struct{})
	go func() {
		for got := int64(0); got < j.warmup+total; {
			fetches := consumer.PollFetches(context.Background())
			fetches.EachRecord(func(r *kgo.Record) {
				if got++; got > j.warmup {
					sent := int64(binary.LittleEndian.Uint64(r.Value))
					latencies = append(latencies, time.Duration(time.Now().UnixNano()-sent))
				}
			})
		}
		close(done)
	}()
	var w *watch
	start := time.Now()
	for sent := int64(0); sent < j.warmup+total; {
		due := min(j.warmup+total, int64(time.Since(start))*j.rate/int64(time.Second))
		for ; sent < due; sent++ {
			if sent == j.warmup {
				w = begin()
			}
			producer.Produce(context.Background(), &kgo.Record{Topic: j.topic, Value: stamp(j.value(sent))}, func(_ *kgo.Record, err error) { must(err) })
		}
		time.Sleep(time.Millisecond)
	}
	<-done
	w.end(total, j.warmup+total, latencies)
}

// fan has one client per producer and per consumer; producer and consumer i use partition i.
func fan(j *job) {
	each := j.records / int64(j.clients)
	w := begin()
	done := make(chan struct{})
	for c := int64(0); c < int64(j.clients); c++ {
		producer, consumer := j.producer(0, kgo.RecordPartitioner(kgo.ManualPartitioner())), j.consumer(c, c+1)
		go func() {
			for got := int64(0); got < each; {
				got += int64(consumer.PollFetches(context.Background()).NumRecords())
			}
			done <- struct{}{}
		}()
		go func() {
			for i := int64(0); i < each; i += 100 {
				records := make([]*kgo.Record, 0, 100)
				for k := i; k < min(each, i+100); k++ {
					records = append(records, &kgo.Record{Topic: j.topic, Partition: int32(c), Value: j.value(c*each + k)})
				}
				must(producer.ProduceSync(context.Background(), records...).FirstErr())
			}
		}()
	}
	for c := 0; c < j.clients; c++ {
		<-done
	}
	w.end(each*int64(j.clients), each*int64(j.clients), nil)
}
