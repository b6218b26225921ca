package gateway_test

func serviceEntryOf(spec string) string { return document("ServiceEntry", "{"+spec+"}") }

// staticOf is a ServiceEntry with one endpoint.
func staticOf(endpoint string) string {
	return serviceEntryOf("hosts: [a.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [" + endpoint + "]")
}

var serviceEntryFindings = map[string]finding{
	"a ServiceEntry has hosts":              found(serviceEntryOf("resolution: NONE"), "VAL-S-01 error"),
	"a ServiceEntry is not for everything":  found(serviceEntryOf("hosts: ['*']"), "VAL-S-01 error"),
	"its host is a name":                    found(serviceEntryOf("hosts: [10.0.0.1]"), "VAL-S-01 error"),
	"its star stands for a label":           found(serviceEntryOf("hosts: ['*foo.com']"), "VAL-S-02 warning"),
	"its star may be a part if it is asked": near(serviceEntryOf("hosts: ['*foo.com'], resolution: DYNAMIC_DNS")),
	"endpoints are not chosen too":          found(serviceEntryOf("hosts: [a.com], resolution: STATIC, endpoints: [{address: 10.0.0.1}], workloadSelector: {labels: {a: b}}"), "VAL-S-03 error"),
	"its selector has no stars":             found(serviceEntryOf("hosts: [a.com], resolution: STATIC, workloadSelector: {labels: {a: '*'}}"), "VAL-S-03 error"),
	"its selector has labels":               found(serviceEntryOf("hosts: [a.com], resolution: STATIC, workloadSelector: {}"), "VAL-S-03 warning"),
	"an address is an address":              found(serviceEntryOf("hosts: [a.com], addresses: [a.com]"), "VAL-S-04 error"),
	"a range of addresses is not asked for": found(serviceEntryOf("hosts: [a.com], addresses: [10.0.0.0/8], resolution: DNS"), "VAL-S-04 error"),
	"a range of addresses":                  near(serviceEntryOf("hosts: [a.com], addresses: [10.0.0.0/8, '::1']")),
	"its ports differ":                      found(serviceEntryOf("hosts: [a.com], ports: [{number: 80, name: a, protocol: HTTP}, {number: 80, name: a, protocol: HTTP}]"), "VAL-S-05 error", "VAL-S-05 error"),
	"its ports are ports":                   found(serviceEntryOf("hosts: [a.com], ports: [{number: 0, name: a.b, protocol: FTP, targetPort: 70000}]"), "VAL-S-05 error", "VAL-S-05 error", "VAL-S-05 error", "VAL-S-05 error"),
	"TCP needs addresses":                   found(serviceEntryOf("hosts: [a.com], ports: [{number: 80, name: a, protocol: TCP}, {number: 81, name: b}]"), "VAL-S-06 warning", "VAL-S-06 warning"),
	"TCP may be given addresses":            near(serviceEntryOf("hosts: [a.com], resolution: DNS, ports: [{number: 80, name: a, protocol: TCP}]")),
	"TCP is given none if it may not be":    found(annotated(serviceEntryOf("hosts: [a.com], resolution: DNS, ports: [{number: 80, name: a, protocol: TCP}]"), "labels: {networking.istio.io/enable-autoallocate-ip: 'False'}"), "VAL-S-06 warning"),
	"NONE has no endpoints":                 found(serviceEntryOf("hosts: [a.com], endpoints: [{address: 10.0.0.1}]"), "VAL-S-07 error"),
	"NONE chooses none":                     found(serviceEntryOf("hosts: [a.com], workloadSelector: {labels: {a: b}}"), "VAL-S-07 warning"),
	"STATIC is an address":                  found(staticOf("{address: b.com}"), "VAL-S-08 error"),
	"STATIC has an address":                 found(staticOf("{labels: {a: b}}"), "VAL-S-08 error"),
	"STATIC may be a network":               found(staticOf("{network: 'n'}"), "VAL-S-08 warning"),
	"STATIC has the entry's ports":          found(staticOf("{address: 10.0.0.1, ports: {other: 0}}"), "VAL-S-08 error", "VAL-S-08 error"),
	"STATIC has labels":                     found(staticOf("{address: 10.0.0.1, labels: {a: 'b c'}}"), "VAL-S-08 error"),
	"STATIC with a port":                    near(staticOf("{address: 10.0.0.1, ports: {http: 8080}}")),
	"a socket has no ports":                 found(staticOf("{address: 'unix:///x', ports: {http: 1}}"), "VAL-S-08 error"),
	"a socket has a path":                   found(staticOf("{address: 'unix://x'}"), "VAL-S-08 error"),
	"a socket is one port":                  found(serviceEntryOf("hosts: [a.com], resolution: STATIC, endpoints: [{address: 'unix:///x'}]"), "VAL-S-08 error"),
	"a wildcard is not asked for":           found(serviceEntryOf("hosts: ['*.a.com'], resolution: DNS"), "VAL-S-09 error"),
	"a wildcard has endpoints to ask for":   near(serviceEntryOf("hosts: ['*.a.com'], resolution: DNS, endpoints: [{address: b.com}]")),
	"one endpoint is asked for in turn":     found(serviceEntryOf("hosts: [a.com], resolution: DNS_ROUND_ROBIN, endpoints: [{address: b.com}, {address: c.com}]"), "VAL-S-10 error"),
	"DNS has names or addresses":            found(serviceEntryOf("hosts: [a.com], resolution: DNS, endpoints: [{address: 'unix:///x'}]"), "VAL-S-11 error"),
	"DNS has the entry's ports":             found(serviceEntryOf("hosts: [a.com], resolution: DNS, endpoints: [{address: b.com, ports: {x: 1}}]"), "VAL-S-11 error"),
	"an address does not tell hosts apart":  found(serviceEntryOf("hosts: [a.com, b.com], addresses: [10.0.0.1], resolution: DNS, ports: [{number: 443, name: a, protocol: TLS}]"), "VAL-S-12 warning"),
	"what is asked is a wildcard":           found(serviceEntryOf("hosts: [a.com], resolution: DYNAMIC_DNS"), "VAL-S-13 error"),
	"what is asked has no addresses":        found(serviceEntryOf("hosts: ['*.a.com'], resolution: DYNAMIC_DNS, addresses: [10.0.0.1], endpoints: [{address: 10.0.0.1}]"), "VAL-S-13 error", "VAL-S-13 error"),
	"what is asked names its host":          found(serviceEntryOf("hosts: ['*.a.com'], resolution: DYNAMIC_DNS, ports: [{number: 80, name: a, protocol: TCP}]"), "VAL-S-13 error"),
	"what is asked is outside":              found(annotated(serviceEntryOf("hosts: ['*.a.com'], resolution: DYNAMIC_DNS, location: MESH_INTERNAL"), "labels: {istio.io/use-waypoint: w}"), "VAL-S-13 error"),
	"what is asked":                         near(serviceEntryOf("hosts: ['*.a.com'], resolution: DYNAMIC_DNS, ports: [{number: 80, name: a, protocol: HTTP}]")),
	"TCP does not tell hosts apart":         found(serviceEntryOf("hosts: [a.com, b.com], resolution: STATIC, ports: [{number: 80, name: a, protocol: TCP}]"), "VAL-S-14 error"),
	"TLS tells hosts apart":                 near(serviceEntryOf("hosts: [a.com, b.com], resolution: STATIC, ports: [{number: 443, name: a, protocol: TLS}]")),
	"a service is hidden, or it is not":     found(serviceEntryOf("hosts: [a.com], exportTo: ['~', x]"), "VAL-S-15 error"),
	"a service can be hidden":               near(serviceEntryOf("hosts: [a.com], exportTo: ['~']")),
}
