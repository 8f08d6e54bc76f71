package main

import (
	"context"
	"fmt"
	"sort"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func adminTopics(name string) result {
	topic := name + "-new"
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		create := func(topic string, partitions int32, replicas int16) int16 {
			_, err := admin.CreateTopic(ctx, partitions, replicas, nil, topic)
			return code(err)
		}
		grow := func(count int) error {
			return must(admin.UpdatePartitions(ctx, count, topic))[topic].Err
		}
		partitions := func() kadm.PartitionDetails { return must(admin.ListTopics(ctx))[topic].Partitions }
		check(kerr.ErrorForCode(create(topic, 2, 1)))
		until("it is listed", func() bool { return len(partitions()) == 2 })
		leaders, replicas, isr := []int32{}, [][]int32{}, [][]int32{}
		for _, partition := range partitions().Sorted() {
			leaders = append(leaders, partition.Leader)
			replicas = append(replicas, partition.Replicas)
			isr = append(isr, partition.ISR)
		}
		brokers := []int32{}
		for _, broker := range must(admin.ListBrokers(ctx)) {
			brokers = append(brokers, broker.NodeID)
		}
		found := result{
			"brokers": brokers, "listed": true,
			"described":      result{"partitions": len(leaders), "leaders": leaders, "replicas": replicas, "isr": isr},
			"again":          create(topic, 2, 1),
			"badName":        create(name+" with spaces", 2, 1),
			"badReplication": create(name+"-wide", 1, 3),
		}
		check(grow(3))
		until("it has grown", func() bool { return len(partitions()) == 3 })
		found["grown"] = len(partitions())
		found["shrunk"] = code(grow(1))
		must(admin.DeleteTopic(ctx, topic))
		until("it is gone", func() bool { return len(partitions()) == 0 })
		found["deleted"] = true
		_, err := admin.DeleteTopic(ctx, name+"-none")
		found["unknown"] = code(err)
		return found
	})
}

func deleteRecords(topic string) result {
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		remove := func(offset int64) kadm.DeleteRecordsResponse {
			var places kadm.Offsets
			places.AddOffset(topic, 0, offset, -1)
			return must(admin.DeleteRecords(ctx, places))[topic][0]
		}
		low := remove(4)
		check(low.Err)
		start, _ := must(admin.ListStartOffsets(ctx, topic)).Lookup(topic, 0)
		return result{
			"low": low.LowWatermark, "earliest": start.Offset, "beyond": code(remove(11).Err), "all": remove(-1).LowWatermark,
		}
	})
}

func configs(ctx context.Context, admin *kadm.Client, topic string) map[string][]any {
	found := map[string][]any{}
	for _, config := range must(admin.DescribeTopicConfigs(ctx, topic))[0].Configs {
		found[config.Key] = []any{config.MaybeValue(), config.Source.String()}
	}
	return found
}

func chosen(found map[string][]any, names ...string) result {
	list := result{}
	for _, name := range names {
		list[name] = found[name]
	}
	return list
}

func pointer(text string) *string { return &text }

func adminConfigs(topic string) result {
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		alter := func(topic string, changes ...kadm.AlterConfig) int16 {
			return code(must(admin.AlterTopicConfigs(ctx, changes, topic))[0].Err)
		}
		before := configs(ctx, admin, topic)
		check(kerr.ErrorForCode(alter(topic,
			kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.bytes", Value: pointer("1000")},
			kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"},
			kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: pointer("compact")},
		)))
		until("it is changed", func() bool { return configs(ctx, admin, topic)["retention.bytes"][0] == "1000" })
		after, names := configs(ctx, admin, topic), []string{}
		for name := range after {
			names = append(names, name)
		}
		sort.Strings(names)
		broker := ""
		for _, config := range must(admin.DescribeBrokerConfigs(ctx, 1))[0].Configs {
			if config.Key == "num.partitions" {
				broker = config.MaybeValue()
			}
		}
		set := func(name, value string) kadm.AlterConfig {
			return kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value}
		}
		return result{
			"before":       chosen(before, "retention.ms", "cleanup.policy"),
			"after":        chosen(after, "retention.ms", "retention.bytes", "cleanup.policy"),
			"badValue":     alter(topic, set("retention.bytes", "much")),
			"unknownName":  alter(topic, set("no.such.name", "1")),
			"unknownTopic": alter(topic+"-none", set("retention.bytes", "1")),
			"broker":       broker, "details": names,
		}
	})
}

func adminConfigsLegacy(topic string) result {
	return admin(func(ctx context.Context, admin *kadm.Client) result {
		alter := func(value string) int16 {
			change := []kadm.AlterConfig{{Name: "retention.bytes", Value: &value}}
			return code(must(admin.AlterTopicConfigsState(ctx, change, topic))[0].Err)
		}
		check(kerr.ErrorForCode(alter("1000")))
		until("it is changed", func() bool { return configs(ctx, admin, topic)["retention.bytes"][0] == "1000" })
		after := chosen(configs(ctx, admin, topic), "retention.ms", "retention.bytes")
		return result{"after": after, "badValue": alter("much")}
	})
}

func adminACLs(name string) result {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := client()
	defer client.Close()
	alice, bob := "User:"+name+"-alice", "User:"+name+"-bob"
	create := kmsg.NewCreateACLsRequest()
	create.Creations = []kmsg.CreateACLsRequestCreation{
		{
			ResourceType: kmsg.ACLResourceTypeTopic, ResourceName: name, ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral,
			Principal: alice, Host: "*", Operation: kmsg.ACLOperationRead, PermissionType: kmsg.ACLPermissionTypeAllow,
		},
		{
			ResourceType: kmsg.ACLResourceTypeGroup, ResourceName: name, ResourcePatternType: kmsg.ACLResourcePatternTypePrefixed,
			Principal: bob, Host: "10.0.0.1", Operation: kmsg.ACLOperationDescribe, PermissionType: kmsg.ACLPermissionTypeDeny,
		},
	}
	for _, made := range must(create.RequestWith(ctx, client)).Results {
		check(kerr.ErrorForCode(made.ErrorCode))
	}
	ofPrincipal := func(principal string) []string {
		filter := kmsg.NewDescribeACLsRequest()
		filter.ResourceType, filter.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
		filter.Principal = &principal
		return find(ctx, client, filter)
	}
	of := func(kind kmsg.ACLResourceType, resource string, pattern kmsg.ACLResourcePatternType) []string {
		filter := kmsg.NewDescribeACLsRequest()
		filter.ResourceType, filter.ResourceName, filter.ResourcePatternType = kind, &resource, pattern
		return find(ctx, client, filter)
	}
	until("the rules are there", func() bool { return len(ofPrincipal(alice)) == 1 && len(ofPrincipal(bob)) == 1 })
	found := result{
		"alice": ofPrincipal(alice), "bob": ofPrincipal(bob),
		"matchTopic":   of(kmsg.ACLResourceTypeTopic, name, kmsg.ACLResourcePatternTypeMatch),
		"matchGroup":   of(kmsg.ACLResourceTypeGroup, name+"-longer", kmsg.ACLResourcePatternTypeMatch),
		"literalGroup": of(kmsg.ACLResourceTypeGroup, name+"-longer", kmsg.ACLResourcePatternTypeLiteral),
	}
	filter := kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	filter.Principal, filter.Operation, filter.PermissionType = &alice, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	remove := kmsg.NewDeleteACLsRequest()
	remove.Filters = append(remove.Filters, filter)
	deleted := []string{}
	for _, acl := range must(remove.RequestWith(ctx, client)).Results[0].MatchingACLs {
		check(kerr.ErrorForCode(acl.ErrorCode))
		deleted = append(deleted, said(acl.ResourceType, acl.ResourcePatternType, acl.ResourceName, acl.Principal, acl.Host,
			acl.Operation, acl.PermissionType))
	}
	until("alice's is gone", func() bool { return len(ofPrincipal(alice)) == 0 })
	found["deleted"], found["left"] = deleted, ofPrincipal(bob)
	return found
}

func find(ctx context.Context, client *kgo.Client, filter kmsg.DescribeACLsRequest) []string {
	filter.Operation, filter.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	answer := must(filter.RequestWith(ctx, client))
	check(kerr.ErrorForCode(answer.ErrorCode))
	list := []string{}
	for _, resource := range answer.Resources {
		for _, acl := range resource.ACLs {
			list = append(list, said(resource.ResourceType, resource.ResourcePatternType, resource.ResourceName, acl.Principal,
				acl.Host, acl.Operation, acl.PermissionType))
		}
	}
	sort.Strings(list)
	return list
}

func said(kind kmsg.ACLResourceType, pattern kmsg.ACLResourcePatternType, name, principal, host string,
	operation kmsg.ACLOperation, permission kmsg.ACLPermissionType) string {
	return fmt.Sprintf("%v:%v:%s:%s:%s:%v:%v", kind, pattern, name, principal, host, operation, permission)
}
