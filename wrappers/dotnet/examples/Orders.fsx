// Writes and reads with F#: dotnet fsi Orders.fsx
#r "nuget: Dohle"

open System
open Dohle

let broker = EmbeddedBroker.StartAsync(1).Result
let text key value = Message<string, string>(Key = key, Value = value)

do
    use producer = ProducerBuilder<string, string>(ProducerConfig(BootstrapServers = broker.BootstrapServers)).Build()
    let result = producer.ProduceAsync("orders", text "42" "two shirts").Result
    printfn "written to %O" result.TopicPartitionOffset

do
    let config = ConsumerConfig(BootstrapServers = broker.BootstrapServers, GroupId = "billing", AutoOffsetReset = AutoOffsetReset.Earliest)
    use consumer = ConsumerBuilder<string, string>(config).Build()
    consumer.Subscribe "orders"

    match consumer.Consume(TimeSpan.FromSeconds 10.0) with
    | null -> printfn "nothing"
    | record -> printfn "%s: %s" record.Message.Key record.Message.Value

    consumer.Close()

broker.Dispose()
