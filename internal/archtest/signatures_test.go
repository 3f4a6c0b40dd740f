package archtest

import (
	"go/ast"
	"slices"
)

// dictated lists methods whose signature somebody else's interface demands.
func dictated() []string {
	return []string{
		"MarshalYAML", // yaml.v3 Marshaler
		"As",          // errors.As
	}
}

// checkNoAny refuses any and interface{} in what our packages show each other:
// parameters, results, exported fields and types. Constraints of type parameters
// are free.
func checkNoAny(t tree) []finding {
	var found []finding
	for _, f := range t.code() {
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) && !slices.Contains(dictated(), d.Name.Name) {
					found = append(found, t.anyIn(d.Type.Params, d.Name.Name)...)
					found = append(found, t.anyIn(d.Type.Results, d.Name.Name)...)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					found = append(found, t.anyInSpec(s)...)
				}
			}
		}
	}
	return found
}

func (t tree) anyInSpec(s ast.Spec) []finding {
	var found []finding
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			found = t.anyIn(s.Type, s.Name.Name)
		}
	case *ast.ValueSpec:
		if s.Type != nil && slices.ContainsFunc(s.Names, (*ast.Ident).IsExported) {
			found = t.anyIn(s.Type, s.Names[0].Name)
		}
	}
	return found
}

func (t tree) anyIn(n ast.Node, name string) []finding {
	var found []finding
	if list, ok := n.(*ast.FieldList); ok && list == nil {
		return nil
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructType:
			for _, field := range n.Fields.List {
				if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
					found = append(found, t.anyIn(field.Type, name)...)
				}
			}
			return false
		case *ast.SelectorExpr:
			return false
		case *ast.Ident:
			if n.Name == "any" {
				found = append(found, t.at(n, "% shows any: name the type", name))
			}
		case *ast.InterfaceType:
			if len(n.Methods.List) == 0 {
				found = append(found, t.at(n, "% shows interface{}: name the type", name))
			}
			for _, m := range n.Methods.List {
				if fn, ok := m.Type.(*ast.FuncType); ok {
					found = append(found, t.anyIn(fn.Params, name)...)
					found = append(found, t.anyIn(fn.Results, name)...)
				}
			}
			return false
		}
		return true
	})
	return found
}

func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !exported {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}
