//! murmur2 and the partitions chosen from it, against values that Java's client computed (`test/vectors/murmur2.txt`).

use dohle_client::producer::partition_for_key;

#[test]
fn partitions_by_key_are_those_of_the_java_client() {
    let path = "../../test/vectors/murmur2.txt";
    let text = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split(' ').collect();
        let [key, partitions, expected] = fields[..] else { panic!("{line}") };
        let key: Vec<u8> =
            (0..key.len() / 2).map(|i| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert_eq!(partition_for_key(&key, partitions.parse().unwrap()), expected.parse::<u32>().unwrap(), "{line}");
        count += 1;
    }
    assert!(count > 1000);
}
