package gateway

import (
	"strings"

	istio "istio.io/api/networking/v1alpha3"
)

// workloadEntry covers VAL-E-01. Whether the ServiceEntry that selects it asks for an address or a name is not known
// here, so both are allowed, and its ports are not compared.
func (v *validator) workloadEntry(e *istio.WorkloadEntry) {
	const code = "VAL-E-01"
	switch path, isUnix := strings.CutPrefix(e.Address, unixPrefix); {
	case e.Address == "" && e.Network == "":
		v.refuse(code, "spec", "an address is needed")
		return
	case e.Address == "":
		v.warn(code, "spec", "has no address, only the network %q", e.Network)
	case isUnix:
		if !isSocket(path) {
			v.refuse(code, "spec.address", "%q is not the absolute path of a socket", path)
		}
		if len(e.Ports) > 0 {
			v.refuse(code, "spec.ports", "a socket has no ports")
		}
	case !isAddress(e.Address) && !isFQDN(e.Address):
		v.refuse(code, "spec.address", "%q is neither a host name nor an IP address", e.Address)
	}
	for name, number := range e.Ports {
		at := keyField("spec.ports", name)
		if !isLabel(name) {
			v.refuse(code, at, "%q is no name of a port", name)
		}
		v.port(code, at, number)
	}
	v.labels(code, "spec.labels", e.Labels)
}
