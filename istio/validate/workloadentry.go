package validate

import (
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
)

// workloadEntry covers VAL-E-01. The resolution of the ServiceEntry that selects the WorkloadEntry is not known here,
// so the address may be an IP address or a host name, and the ports are not compared with those of a ServiceEntry.
func (v *validator) workloadEntry(e *istio.WorkloadEntry) {
	const code = "VAL-E-01"
	isOther, ok := v.endpointAddress(code, "spec", e)
	if !ok {
		return
	}
	if isOther && !names.IsAddress(e.Address) && !names.IsFQDN(e.Address) {
		v.refuse(code, "spec.address", "%q is neither a host name nor an IP address", e.Address)
	}
	v.endpointPorts(code, "spec", e)
}

// endpointAddress checks an address that is a socket, or is missing. A missing one is an error unless there is a
// network. ok is false after that error. isOther is true for an address that is not a socket, which the caller must
// check.
func (v *validator) endpointAddress(code, field string, e *istio.WorkloadEntry) (isOther, ok bool) {
	switch path, isUnix := strings.CutPrefix(e.Address, unixPrefix); {
	case e.Address == "" && e.Network == "":
		v.refuse(code, field, "an address is needed")
		return false, false
	case e.Address == "":
		v.warn(code, field, "has no address, only the network %q", e.Network)
	case isUnix:
		if !isSocket(path) {
			v.refuse(code, field+".address", "%q is not the absolute path of a socket", path)
		}
		if len(e.Ports) > 0 {
			v.refuse(code, field+".ports", "a socket has no ports")
		}
	default:
		isOther = true
	}
	return isOther, true
}

func (v *validator) endpointPorts(code, field string, e *istio.WorkloadEntry) {
	for name, number := range e.Ports {
		at := diag.KeyField(field+".ports", name)
		if !names.IsLabel(name) {
			v.refuse(code, at, "%q is not a valid name of a port", name)
		}
		v.port(code, at, number)
	}
	v.labels(code, field+".labels", e.Labels)
}
