package resource

import (
	"fmt"

	"waymark.dev/waymark/diag"
)

// Decoded is one object that was not read from a file, such as one of a Kubernetes API server. It does not change.
type Decoded struct {
	*Object
	// Findings are what [Read] reports about the same object in a file; they have no places.
	Findings diag.Findings

	resource any // *Gateway and so on; nil for an object that could not be decoded
	hosts    []string
	isIstio  bool
}

// Decode decodes one object, in JSON, to what [Read] makes of it in a file. The object has apiVersion, kind, name and
// namespace. The error is for a kind or a version that Waymark does not read; all else is in the findings.
func Decode(text []byte) (*Decoded, error) {
	b := newBody(text)
	version, name := b.text("apiVersion"), b.text("kind")
	kind, known := kinds[groupOf(version)+"/"+name]
	if !known || !kind.versions[version] {
		return nil, fmt.Errorf("%q of %q is not a kind that Waymark reads", name, version)
	}
	metadata := newBody(b.members["metadata"])
	o := &Object{Kind: name, Namespace: metadata.text("namespace"), Name: metadata.text("name"), Created: defaultCreated}
	r := &reader{input: &Input{Set: &Set{}}}
	r.decode(kind, o, b)
	d := &Decoded{Object: o, Findings: r.input.Findings, isIstio: kind.isIstio}
	switch set := r.input.Set; {
	case len(set.Refused) > 0:
		d.hosts = set.Refused[0].Hosts
	case len(set.Gateways) > 0:
		d.resource = set.Gateways[0]
	case len(set.VirtualServices) > 0:
		d.resource = set.VirtualServices[0]
	case len(set.DestinationRules) > 0:
		d.resource = set.DestinationRules[0]
	case len(set.ServiceEntries) > 0:
		d.resource = set.ServiceEntries[0]
	case len(set.WorkloadEntries) > 0:
		d.resource = set.WorkloadEntries[0]
	case len(set.Services) > 0:
		d.resource = set.Services[0]
	case len(set.EndpointSlices) > 0:
		d.resource = set.EndpointSlices[0]
	case len(set.Pods) > 0:
		d.resource = set.Pods[0]
	case len(set.Secrets) > 0:
		d.resource = set.Secrets[0]
	default:
		d.resource = set.Namespaces[0]
	}
	return d, nil
}

// Join returns an input with some objects, in their order. Objects that could not be decoded are in the Refused of its set.
func Join(all []*Decoded) *Input {
	in := &Input{Set: &Set{}}
	for _, d := range all {
		in.Findings = append(in.Findings, d.Findings...)
		if d.isIstio {
			in.Objects = append(in.Objects, d.Object)
		}
		in.Set.add(d)
	}
	return in
}

func (r *Set) add(d *Decoded) {
	switch k := d.resource.(type) {
	case *Gateway:
		r.Gateways = append(r.Gateways, k)
	case *VirtualService:
		r.VirtualServices = append(r.VirtualServices, k)
	case *DestinationRule:
		r.DestinationRules = append(r.DestinationRules, k)
	case *ServiceEntry:
		r.ServiceEntries = append(r.ServiceEntries, k)
	case *WorkloadEntry:
		r.WorkloadEntries = append(r.WorkloadEntries, k)
	case *Service:
		r.Services = append(r.Services, k)
	case *EndpointSlice:
		r.EndpointSlices = append(r.EndpointSlices, k)
	case *Pod:
		r.Pods = append(r.Pods, k)
	case *Secret:
		r.Secrets = append(r.Secrets, k)
	case *Object:
		r.Namespaces = append(r.Namespaces, k)
	default:
		r.Refused = append(r.Refused, Refused{d.Object, d.hosts})
	}
}
