package plan

import (
	"strconv"

	"waymark.dev/waymark/diag"
)

// Origin is the source of a part of a plan: an object, or an entry of a list in its spec. The zero value is for rules
// that Istio generates without any resource.
type Origin struct {
	Kind, Namespace, Name string
	Path                  Path `json:",omitzero"`
}

// Path is an entry of a list in an object's spec, such as http[2].match[0]. The zero value is the whole object.
type Path struct {
	// List is http, tcp, tls or servers.
	List  string
	Index int
	// Match is the index of one of the entry's matches, or -1. In a delegate, it is the index after the matches were
	// merged with those of the rule that delegates.
	Match int
}

// EntryPath is the path of an entry of a list, without a match.
func EntryPath(list string, index int) Path { return Path{list, index, -1} }

// String is the path below spec: http[2].match[0]; "" for the whole object.
func (p Path) String() string {
	if p.List == "" {
		return ""
	}
	s := p.List + "[" + strconv.Itoa(p.Index) + "]"
	if p.Match >= 0 {
		s += ".match[" + strconv.Itoa(p.Match) + "]"
	}
	return s
}

// MarshalText writes the path as [Path.String] does.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Key is namespace/name.
func (o Origin) Key() string { return o.Namespace + "/" + o.Name }

// String is namespace/name and the path: default/reviews.http[0].match[1].
func (o Origin) String() string {
	if o.Path.List == "" {
		return o.Key()
	}
	return o.Key() + "." + o.Path.String()
}

// Field is the path from the root of the object: spec.http[2].match[0]; "" for the whole object.
func (o Origin) Field() string {
	if o.Path.List == "" {
		return ""
	}
	return "spec." + o.Path.String()
}

// Dropped is a resource, rule or server of the input that is not in the plan, or not in one of its listeners.
type Dropped struct {
	Origin Origin
	// Root is the rule that delegates to the VirtualService of Origin, as in [Rule]; the zero value for others.
	Root   Origin `json:",omitzero"`
	Source diag.Place
	Code   DropCode
	// By is what takes precedence over it; the zero value where nothing does.
	By Origin `json:",omitzero"`
}

// String identifies what was dropped as [Rule.String] does.
func (d Dropped) String() string {
	if d.Root.Kind != "" {
		return d.Root.Key() + "+" + d.Origin.String()
	}
	return d.Origin.String()
}

// Why is the reason in words, as a sentence about what was dropped.
func (d Dropped) Why() string {
	why := whyDropped[d.Code]
	if d.By.Kind != "" {
		why += " (" + d.By.String() + ")"
	}
	return why
}

var whyDropped = map[DropCode]string{
	DropPort:             "its match is for another port",
	DropGateway:          "its match is for other gateways",
	DropLabels:           "its sourceLabels are not those of the proxy",
	DropNamespace:        "its sourceNamespace is not that of the proxy",
	DropBehindCatchAll:   "an earlier rule of its VirtualService takes every request",
	DropNoDelegate:       "its delegate does not exist, or is not exported to its namespace",
	DropNestedDelegate:   "it delegates, and a rule of a delegate may not",
	DropDelegateConflict: "one of its matches contradicts every match of the rule that delegates",
	DropNotExported:      "exportTo hides it from the namespace of the proxy",
	DropNotBound:         "it is not bound to a Gateway of the proxy, or to the mesh for a sidecar",
	DropNoHost:           "it has no host that a server of its Gateways, or a port of the mesh, has",
	DropHostTaken:        "an earlier rule or VirtualService has its host",
	DropNotSelected:      "its selector does not select the proxy",
	DropServerConflict:   "it conflicts with an earlier server",
	DropNoRule:           "no VirtualService has a rule for it",
	DropUnsupported:      "Waymark does not translate such a server",
}

// DropCode is the reason why something was dropped.
type DropCode string

// The reasons, with the rules of Istio from which they follow.
const (
	// DropPort is a match for the port of another listener (VS-STAT-01).
	DropPort DropCode = "port"
	// DropGateway is a match for other Gateways (VS-STAT-02).
	DropGateway DropCode = "gateway"
	// DropLabels is a match whose sourceLabels the proxy does not have, DropNamespace one whose sourceNamespace is
	// another one (VS-STAT-03).
	DropLabels    DropCode = "source-labels"
	DropNamespace DropCode = "source-namespace"
	// DropBehindCatchAll is a match after a catch-all of the same VirtualService (VS-ORD-04).
	DropBehindCatchAll DropCode = "behind-catch-all"
	// DropNoDelegate is a rule whose delegate does not exist, or is not exported to the rule's namespace (VS-DEL-03).
	DropNoDelegate DropCode = "no-delegate"
	// DropNestedDelegate is a delegate's rule that delegates (VS-DEL-02).
	DropNestedDelegate DropCode = "nested-delegate"
	// DropDelegateConflict is a delegate's rule with a match that contradicts the rule that delegates (VS-DEL-05).
	DropDelegateConflict DropCode = "delegate-conflict"
	// DropNotExported is a VirtualService that is not exported to the proxy's namespace (VS-SEL-03).
	DropNotExported DropCode = "not-exported"
	// DropNotBound is a VirtualService that is not bound to a Gateway of the proxy or, for a sidecar, to the mesh
	// (VS-SEL-01).
	DropNotBound DropCode = "not-bound"
	// DropNoHost is a VirtualService that shares no host with the servers, or the ports of the mesh (VS-GW-02,
	// VS-MESH-03).
	DropNoHost DropCode = "no-host"
	// DropHostTaken is a host of the mesh, a server name, or the connections of a TCP server, which an earlier rule or
	// VirtualService has (VS-MESH-01, TLS-04, TCP-01).
	DropHostTaken DropCode = "host-taken"
	// DropNotSelected is a Gateway that does not select the proxy (GW-SEL-01).
	DropNotSelected DropCode = "not-selected"
	// DropServerConflict is a server that conflicts with an earlier one (GW-MERGE-02, GW-MERGE-03).
	DropServerConflict DropCode = "server-conflict"
	// DropNoRule is a server of TCP, or of TLS that is forwarded, for which no VirtualService has a rule (TCP-02).
	DropNoRule DropCode = "no-rule"
	// DropUnsupported is a server that Waymark does not translate.
	DropUnsupported DropCode = "unsupported"
)

// IsOfProxy reports whether a resource was dropped because one proxy does not use it, and another one may.
func (c DropCode) IsOfProxy() bool {
	return c == DropNotExported || c == DropNotBound || c == DropNoHost || c == DropNotSelected
}
