package gateway_test

func workloadEntryOf(spec string) string { return document("WorkloadEntry", "{"+spec+"}") }

var workloadEntryFindings = map[string]finding{
	"a WorkloadEntry has an address":       found(workloadEntryOf("labels: {a: b}"), "VAL-E-01 error"),
	"a WorkloadEntry may be in a network":  found(workloadEntryOf("network: 'n'"), "VAL-E-01 warning"),
	"a WorkloadEntry may have a name":      near(workloadEntryOf("address: a.com, ports: {http: 80}")),
	"a WorkloadEntry's name is no pattern": found(workloadEntryOf("address: '*.a.com'"), "VAL-E-01 error"),
	"a WorkloadEntry's socket has no port": found(workloadEntryOf("address: 'unix://x', ports: {http: 80}"), "VAL-E-01 error", "VAL-E-01 error"),
	"a WorkloadEntry has ports and labels": found(workloadEntryOf("address: 10.0.0.1, ports: {a.b: 0}, labels: {a: 'b c'}"), "VAL-E-01 error", "VAL-E-01 error", "VAL-E-01 error"),
}
