// franz-go (kgo and kadm) as a driver of the cases: franz-go BOOTSTRAP. See ../../session.ts and ../../table.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// For what never comes, not for what is slow.
const patience = 120 * time.Second
const t0 = 1_700_000_000_000

type result = map[string]any

var bootstrap = os.Args[1]

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// code is Kafka's number of an error; 0 for none.
func code(err error) int16 {
	var known *kerr.Error
	if err == nil {
		return 0
	}
	if errors.As(err, &known) {
		return known.Code
	}
	panic(err)
}

func client(options ...kgo.Opt) *kgo.Client {
	return must(kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, options...)...))
}

// admin calls do with a client for administration.
func admin(do func(ctx context.Context, admin *kadm.Client) result) result {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	made := kadm.NewClient(client())
	defer made.Close()
	return do(ctx, made)
}

// until calls done until it says true.
func until(what string, done func() bool) {
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic("never: " + what)
		}
	}
}

// text is bytes as the table writes them.
func text(data []byte) any {
	if data == nil {
		return nil
	}
	value := string(data)
	if len(value) > 100 && strings.Count(value, value[:1]) == len(value) {
		return fmt.Sprintf("%s*%d", value[:1], len(value))
	}
	return value
}

func run(id, name string) (found result, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v\n%s", reason, debug.Stack())
		}
	}()
	if codec, of := strings.CutPrefix(id, "codec-"); of {
		return codecCase(name, codec), nil
	}
	do, known := map[string]func(string) result{
		"too-large": tooLarge, "append-time": appendTime, "auto-create": autoCreate, "fetch": fetch,
		"seek-by-time": seekByTime, "list-offsets": listOffsets, "group-classic": groupClassic, "group-848": group848,
		"static-member": staticMember, "transactions": transactions, "admin-topics": adminTopics,
		"delete-records": deleteRecords, "admin-configs": adminConfigs, "admin-configs-legacy": adminConfigsLegacy,
		"admin-groups": adminGroups, "admin-offsets": adminOffsets, "admin-acls": adminACLs,
	}[id]
	if !known {
		return nil, fmt.Errorf("no case %s", id)
	}
	return do(name), nil
}

func main() {
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked struct{ Case, Name string }
		check(json.Unmarshal(lines.Bytes(), &asked))
		found, err := run(asked.Case, asked.Name)
		if err != nil {
			check(out.Encode(map[string]string{"error": err.Error()}))
			continue
		}
		check(out.Encode(map[string]any{"result": found}))
	}
}
