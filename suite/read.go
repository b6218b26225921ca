package suite

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// Input is what was read of files and folders.
type Input struct {
	Files []*File
	// Findings are what is wrong in them; texts are for the excerpts.
	Findings diag.Findings
	Texts    diag.Texts
}

// Read reads the tests in files and folders. A file that is named must have tests. In a folder, a file of another kind is
// left aside, such as one of Istio's resources, since rules and tests may be in one folder.
func Read(paths []string) *Input {
	in := &Input{}
	for _, path := range paths {
		names, err := resource.Files([]string{path})
		if err != nil {
			in.Findings.AddAt(diag.Place{File: path}, diag.Error, "", nil, "", "%v", err)
			continue
		}
		for _, name := range names {
			data, err := resource.ReadFile(name)
			if err != nil {
				in.Findings.AddAt(diag.Place{File: name}, diag.Error, "", nil, "", "%v", err)
				continue
			}
			in.file(name, string(data), name == path)
		}
	}
	if in.count() == 0 && len(in.Findings) == 0 {
		in.Findings.AddAt(diag.Place{File: strings.Join(paths, ", ")}, diag.Error, "", nil, "",
			"there is no test: a file of tests has the key tests or, for istio-config-validator, testCases")
	}
	return in
}

// count is the number of tests.
func (in *Input) count() (n int) {
	for _, f := range in.Files {
		n += len(f.Tests)
	}
	return n
}

// file reads a file. isNamed is whether it must have tests.
func (in *Input) file(name, text string, isNamed bool) {
	in.Texts.Add(name, text)
	r := &reader{file: name}
	f := &File{Name: name}
	if isText.MatchString(text) {
		f.Format, f.Tests = RouterCheck, r.routerCheckText(text)
	} else {
		r.documents(f, text, isNamed)
	}
	in.Findings = append(in.Findings, r.findings...)
	switch {
	case len(f.Tests) > 0:
		in.Files = append(in.Files, f)
	case isNamed && len(r.findings) == 0:
		in.Findings.AddAt(diag.Place{File: name}, diag.Error, "", nil, "",
			"there is no test in it: a file of tests has the key tests or, for istio-config-validator, testCases")
	}
}

// isText finds the text format of protocol buffers, which router_check_tool reads as well.
var isText = regexp.MustCompile(`\A(?:\s|#[^\n]*\n)*tests\s*:?\s*[{<]`)

// documents reads the documents of a file in YAML or JSON. All with tests have the same format.
func (r *reader) documents(f *File, text string, isNamed bool) {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			if isNamed || f.Format != "" || mayBeTests.MatchString(text) {
				r.broken(err)
			}
			return
		}
		if len(root.Content) == 0 {
			continue
		}
		n := resolve(root.Content[0])
		format := formatOf(n)
		switch {
		case format == "":
			if f.Format != "" || isNamed && n.Kind != yaml.MappingNode {
				r.fail(n, "a document without tests in a file of tests")
			}
			continue
		case f.Format != "" && f.Format != format:
			r.fail(n, "tests of %s in a file with tests of %s", format, f.Format)
			continue
		}
		f.Format = format
		switch format {
		case Waymark:
			f.Tests = append(f.Tests, r.own(n)...)
		case ConfigValidator:
			f.Tests = append(f.Tests, r.validator(n)...)
		case RouterCheck:
			f.Tests = append(f.Tests, r.routerCheck(n)...)
		}
	}
}

// mayBeTests finds a file that would have tests if it were valid.
var mayBeTests = regexp.MustCompile(`(?mi)^["{ ]*(tests|testCases)"?:`)

// broken reports that a file is not YAML.
func (r *reader) broken(err error) {
	at := &yaml.Node{Line: 1, Column: 1}
	message := err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		at.Line, at.Column, message = load.Mark.Line, load.Mark.Column, load.Message
	}
	r.fail(at, "not valid YAML: %s", message)
}

// formatOf is the format of a document; "" is one without tests.
func formatOf(n *yaml.Node) Format {
	if n.Kind == yaml.SequenceNode && isOfRouterCheck(n) {
		return RouterCheck
	}
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]).Value, resolve(n.Content[i+1])
		switch {
		case key == "tests" && isOfRouterCheck(value):
			return RouterCheck
		case key == "tests":
			return Waymark
		case strings.EqualFold(key, "testCases"):
			return ConfigValidator
		}
	}
	return ""
}

// isOfRouterCheck reports whether a list of tests has the keys of router_check_tool.
func isOfRouterCheck(tests *yaml.Node) bool {
	for _, test := range list(tests) {
		for i := 0; test.Kind == yaml.MappingNode && i+1 < len(test.Content); i += 2 {
			if slices.Contains([]string{"test_name", "testName", "input", "validate"}, resolve(test.Content[i]).Value) {
				return true
			}
		}
	}
	return false
}
