package main

import (
	"context"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is one of a group: what it has, what it read, how often it lost something.
type member struct {
	*kgo.Client
	mutex   sync.Mutex
	places  map[int32]bool
	next    map[int32]int64
	revoked int
	failed  error
}

func join(topic, group string, options ...kgo.Opt) *member {
	m := &member{places: map[int32]bool{}, next: map[int32]int64{}}
	gain := func(_ context.Context, _ *kgo.Client, gained map[string][]int32) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		for _, partition := range gained[topic] {
			m.places[partition] = true
		}
	}
	lose := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		for _, partition := range lost[topic] {
			m.revoked++
			delete(m.places, partition)
		}
	}
	m.Client = client(append([]kgo.Opt{
		kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.OnPartitionsAssigned(gain), kgo.OnPartitionsRevoked(lose), kgo.OnPartitionsLost(lose),
	}, options...)...)
	return m
}

// poll reads what is there within 20 ms.
func (m *member) poll(seen map[[2]int64]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	fetches := m.PollFetches(ctx)
	for _, failure := range fetches.Errors() {
		if failure.Err != context.DeadlineExceeded {
			m.failed = failure.Err
		}
	}
	fetches.EachRecord(func(record *kgo.Record) {
		seen[[2]int64{int64(record.Partition), record.Offset}] = true
		m.next[record.Partition] = record.Offset + 1
	})
}

func (m *member) has() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	list := []int32{}
	for partition := range m.places {
		list = append(list, partition)
	}
	sort.Slice(list, func(a, b int) bool { return list[a] < list[b] })
	return list
}

func (m *member) lost() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.revoked
}

func counts(members ...*member) []int {
	list := []int{}
	for _, m := range members {
		list = append(list, len(m.has()))
	}
	return list
}

func same[T comparable](one, other []T) bool {
	if len(one) != len(other) {
		return false
	}
	for i := range one {
		if one[i] != other[i] {
			return false
		}
	}
	return true
}

type describe func(ctx context.Context, admin *kadm.Client, group string) (state string, members int, protocol string)

func classic(ctx context.Context, admin *kadm.Client, group string) (string, int, string) {
	found := must(admin.DescribeGroups(ctx, group))[group]
	check(found.Err)
	return strings.ToUpper(found.State), len(found.Members), found.Protocol
}

func next(ctx context.Context, admin *kadm.Client, group string) (string, int, string) {
	found := must(admin.DescribeConsumerGroups(ctx, group))[group]
	check(found.Err)
	return strings.ToUpper(found.State), len(found.Members), found.AssignorName
}

func rebalances(topic string, describe describe, options ...kgo.Opt) result {
	group, seen := topic+"-group", map[[2]int64]bool{}
	steps := [][]int{}
	settle := func(want []int, read func() bool, members ...*member) {
		until("assigned", func() bool {
			for _, m := range members {
				m.poll(seen)
			}
			return same(counts(members...), want) && read()
		})
		steps = append(steps, counts(members...))
	}
	nothing := func() bool { return true }
	one := join(topic, group, options...)
	settle([]int{4}, nothing, one)
	two := join(topic, group, options...)
	settle([]int{2, 2}, nothing, one, two)
	one.Close()
	// The one that is left reads what nobody has committed.
	settle([]int{4}, func() bool {
		for partition := int32(0); partition < 4; partition++ {
			if two.next[partition] != 10 {
				return false
			}
		}
		return true
	}, two)
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		places := map[int32]kgo.EpochOffset{}
		for partition, offset := range two.next {
			places[partition] = kgo.EpochOffset{Epoch: -1, Offset: offset}
		}
		two.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: places},
			func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
				check(err)
				for _, partition := range answer.Topics[0].Partitions {
					check(kerr.ErrorForCode(partition.ErrorCode))
				}
			})
		state, members, protocol := describe(ctx, admin, group)
		stable := []any{state, members}
		two.Close()
		until("the group is empty", func() bool {
			state, members, _ = describe(ctx, admin, group)
			return members == 0
		})
		committed := []int64{}
		for partition := int32(0); partition < 4; partition++ {
			place, _ := must(admin.FetchOffsets(ctx, group)).Lookup(topic, partition)
			committed = append(committed, place.At)
		}
		return result{
			"steps": steps, "read": len(seen), "committed": committed, "stable": stable, "empty": []any{state, members},
			"details": protocol,
		}
	})
}

func groupClassic(topic string) result {
	return rebalances(topic, classic, kgo.Balancers(kgo.RangeBalancer()))
}

func group848(topic string) result {
	return rebalances(topic, next, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
}

func staticMember(topic string) result {
	group, seen := topic+"-group", map[[2]int64]bool{}
	join := func(name string) *member {
		return join(topic, group, kgo.InstanceID(name), kgo.Balancers(kgo.RangeBalancer()))
	}
	settle := func(one, other *member) {
		until("one partition each", func() bool {
			one.poll(seen)
			other.poll(seen)
			return same(counts(one, other), []int{1, 1}) && !same(one.has(), other.has())
		})
	}
	one, two := join("one"), join("two")
	defer two.Close()
	settle(one, two)
	steps, before, lost := counts(one, two), one.has(), two.lost()
	one.Close() // a static member does not leave
	back := join("one")
	defer back.Close()
	settle(back, two)
	found := result{"steps": steps, "same": same(back.has(), before), "undisturbed": two.lost() == lost}
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		instances := []string{}
		for _, member := range must(admin.DescribeGroups(ctx, group))[group].Members {
			instances = append(instances, *member.InstanceID)
		}
		sort.Strings(instances)
		found["instances"] = instances
		third := join("one")
		defer third.Close()
		until("the one before is fenced", func() bool {
			for _, m := range []*member{third, two, back} {
				m.poll(seen)
			}
			return back.failed != nil
		})
		found["fenced"] = code(back.failed)
		return found
	})
}

// commitInTransaction adds an offset of a group to a transaction, as kgo's own sessions of groups do.
func commitInTransaction(ctx context.Context, producer *kgo.Client, topic, group string, offset int64) {
	id, epoch, err := producer.ProducerID(ctx)
	check(err)
	add := kmsg.NewAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = topic+"-tx", id, epoch, group
	check(kerr.ErrorForCode(must(add.RequestWith(ctx, producer)).ErrorCode))
	commit := kmsg.NewTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = topic+"-tx", id, epoch, group
	place := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	place.Offset = offset
	of := kmsg.NewTxnOffsetCommitRequestTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, place)
	commit.Topics = append(commit.Topics, of)
	answer := must(commit.RequestWith(ctx, producer))
	check(kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode))
}

func adminGroups(name string) result {
	empty, live, none := name+"-group", name+"-live", name+"-none"
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		state := func(group string) []any {
			state, members, _ := classic(ctx, admin, group)
			return []any{state, members}
		}
		remove := func(group string) int16 {
			_, err := admin.DeleteGroup(ctx, group)
			return code(err)
		}
		groups := must(admin.ListGroups(ctx))
		found := result{
			"listed":    groups[empty].Group == empty && groups[live].Group == live,
			"described": state(empty), "live": state(live), "notEmpty": remove(live), "unknown": remove(none),
			"details": []string{groups[empty].State, groups[live].State, groups[live].ProtocolType},
		}
		check(kerr.ErrorForCode(remove(empty)))
		_, there := must(admin.ListGroups(ctx))[empty]
		found["deleted"] = !there
		return found
	})
}

func adminOffsets(name string) result {
	group := name + "-group"
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		now := func() []any {
			found := must(admin.FetchOffsets(ctx, group))
			list := []any{}
			for partition := int32(0); partition < 2; partition++ {
				if place, there := found.Lookup(name, partition); there && place.At >= 0 {
					list = append(list, place.At)
				} else {
					list = append(list, nil)
				}
			}
			return list
		}
		found := result{"before": now()}
		var change kadm.Offsets
		change.AddOffset(name, 0, 1, -1)
		check(admin.CommitAllOffsets(ctx, group, change))
		found["altered"] = now()
		var gone kadm.TopicsSet
		gone.Add(name, 1)
		check(must(admin.DeleteOffsets(ctx, group, gone)).Error())
		found["deleted"] = now()
		return found
	})
}
