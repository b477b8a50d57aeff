//! `#[derive(Tree)]`: structs and enums of tensors as arguments and results of transforms.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Ident, Path, Result, Type, parse_macro_input,
    parse_quote,
};

/// Implements `unloop::Tree`: every field is a tree, visited in the order of declaration.
///
/// A field marked `#[tree(static)]` holds no tensors: it is copied by `Clone`, and its `Debug` form
/// is part of the structure. The variant of an enum is part of the structure. Type parameters of
/// the other fields must be trees.
///
/// `#[tree(crate = "path")]` on the type names the crate that has `Tree`, if it is not `::unloop`.
///
/// `#[tree(rows = Row)]` on a struct says that its fields are the columns of rows of type `Row`, a struct of
/// plain numbers that has fields of the same names. Then an iterator of rows (or of references to them)
/// collects into the struct, and `Vec<Row>` is made of it by `TryFrom<&Self>`. A column is a `Tensor`, of
/// numbers or arrays of them, or a struct that has rows itself.
///
/// ```
/// use unloop::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Call {
///     strike: f64,
///     count: i32,
/// }
///
/// #[derive(Tree)]
/// #[tree(rows = Call)]
/// struct Calls {
///     strike: Tensor,
///     count: Tensor,
/// }
///
/// let rows = vec![Call { strike: 90.0, count: 3 }, Call { strike: 110.0, count: 5 }];
/// let calls: Calls = rows.iter().collect();
/// assert_eq!(calls.strike.to_vec::<f64>()?, [90.0, 110.0]);
/// assert_eq!(Vec::<Call>::try_from(&calls)?, rows);
/// # Ok::<(), unloop::Error>(())
/// ```
///
/// # Errors
/// Of `TryFrom`: those that a column carries; `DTypeMismatch` and `WrongRank` for one that does not hold the
/// numbers of the row's field, `InvalidArgument` for columns of different lengths; `TracedValue` inside a
/// transform.
#[proc_macro_derive(Tree, attributes(tree))]
pub fn derive_tree(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(input).unwrap_or_else(Error::into_compile_error).into()
}

/// A field with the name that it is bound to in a pattern.
struct Part {
    binding: Ident,
    name: String,
    is_static: bool,
}

/// A struct, or a variant of an enum.
struct Shape {
    /// `Self` or `Self::Variant`.
    path: TokenStream,
    /// The name in structures: the type's, or `Type::Variant`.
    kind: String,
    parts: Vec<Part>,
    named: bool,
}

fn expand(input: DeriveInput) -> Result<TokenStream> {
    let Attributes { krate, rows } = attributes(&input)?;
    let name = &input.ident;
    let rows = rows.map(|row| conversions(&input, &row, &krate)).transpose()?;
    let mut generics = input.generics.clone();
    let shapes: Vec<Shape> = match &input.data {
        Data::Struct(data) => vec![shape(quote!(Self), name.to_string(), &data.fields)?],
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|v| {
                let variant = &v.ident;
                shape(quote!(Self::#variant), format!("{name}::{variant}"), &v.fields)
            })
            .collect::<Result<_>>()?,
        Data::Union(_) => {
            return Err(Error::new_spanned(name, "Tree cannot be derived for a union"));
        }
    };
    bound_parameters(&input, &mut generics, &krate)?;
    let visit = shapes.iter().map(|s| {
        let (pattern, trees) = (s.pattern(), s.trees());
        quote!(#pattern => { #(#krate::Tree::visit(#trees, f);)* })
    });
    let rebuild = shapes.iter().map(|s| {
        let (pattern, path) = (s.pattern(), &s.path);
        let values = s.parts.iter().map(|p| {
            let binding = &p.binding;
            match p.is_static {
                true => quote!(::core::clone::Clone::clone(#binding)),
                false => quote!(#krate::Tree::rebuild(#binding, f)),
            }
        });
        let body = match s.named {
            true => {
                let names = s.parts.iter().map(|p| format_ident!("{}", p.name));
                quote!(#path { #(#names: #values),* })
            }
            false if s.parts.is_empty() => quote!(#path {}),
            false => quote!(#path(#(#values),*)),
        };
        quote!(#pattern => #body)
    });
    let structure = shapes.iter().map(|s| {
        let (pattern, kind) = (s.pattern(), &s.kind);
        let children = s.parts.iter().map(|p| {
            let (binding, name) = (&p.binding, &p.name);
            let child = match p.is_static {
                true => quote!(#krate::Structure::of_static(#binding)),
                false => quote!(#krate::Tree::structure(#binding)),
            };
            quote!((::std::borrow::Cow::Borrowed(#name), #child))
        });
        quote!(#pattern => #krate::Structure::named(#kind, ::std::vec![#(#children),*]))
    });
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        #[allow(unused_variables, non_shorthand_field_patterns)]
        impl #impl_generics #krate::Tree for #name #type_generics #where_clause {
            fn visit(&self, f: &mut dyn ::core::ops::FnMut(&#krate::Tensor)) {
                match self { #(#visit)* }
            }

            fn rebuild(
                &self,
                f: &mut dyn ::core::ops::FnMut(&#krate::Tensor) -> #krate::Tensor,
            ) -> Self {
                match self { #(#rebuild,)* }
            }

            fn structure(&self) -> #krate::Structure {
                match self { #(#structure,)* }
            }
        }

        #rows
    })
}

/// The conversions between a struct of columns and its rows.
fn conversions(input: &DeriveInput, row: &Type, krate: &Path) -> Result<TokenStream> {
    let name = &input.ident;
    let (Data::Struct(data), true) = (&input.data, input.generics.params.is_empty()) else {
        return Err(Error::new_spanned(name, "`rows` is for a struct without parameters"));
    };
    let mut fields = Vec::new();
    for field in &data.fields {
        match &field.ident {
            Some(ident) if !is_static(field)? => fields.push(ident),
            _ => {
                let message = "with `rows`, every field has a name and is a column";
                return Err(Error::new_spanned(field, message));
            }
        }
    }
    let values: Vec<Ident> = (0..fields.len()).map(|i| format_ident!("field_{i}")).collect();
    let names = fields.iter().map(|field| field.to_string());
    let label = name.to_string();
    Ok(quote! {
        #[automatically_derived]
        impl ::core::iter::FromIterator<#row> for #name {
            fn from_iter<I: ::core::iter::IntoIterator<Item = #row>>(rows: I) -> Self {
                #(let mut #values = ::std::vec::Vec::new();)*
                for row in rows {
                    #(#values.push(row.#fields);)*
                }
                #name { #(#fields: ::core::iter::Iterator::collect(#values.into_iter())),* }
            }
        }

        #[automatically_derived]
        impl<'row> ::core::iter::FromIterator<&'row #row> for #name {
            fn from_iter<I: ::core::iter::IntoIterator<Item = &'row #row>>(rows: I) -> Self {
                #(let mut #values = ::std::vec::Vec::new();)*
                for row in rows {
                    #(#values.push(::core::clone::Clone::clone(&row.#fields));)*
                }
                #name { #(#fields: ::core::iter::Iterator::collect(#values.into_iter())),* }
            }
        }

        #[automatically_derived]
        impl ::core::convert::TryFrom<&#name> for ::std::vec::Vec<#row> {
            type Error = #krate::Error;

            #[track_caller]
            fn try_from(columns: &#name) -> ::core::result::Result<Self, #krate::Error> {
                #(let #values: ::std::vec::Vec<_> =
                    ::core::convert::TryFrom::try_from(&columns.#fields)?;)*
                let counts = [#((#names, #values.len())),*];
                let count = counts.first().map_or(0, |first| first.1);
                if let Some(other) = counts.iter().find(|other| other.1 != count) {
                    return ::core::result::Result::Err(#krate::Error::invalid(
                        #label,
                        ::std::format!(
                            "{} has {count} rows, {} has {}; all columns must have the same",
                            counts[0].0, other.0, other.1
                        ),
                    ));
                }
                #(let mut #values = #values.into_iter();)*
                let row = |_| ::core::option::Option::Some(#row { #(#fields: #values.next()?),* });
                ::core::result::Result::Ok((0..count).map_while(row).collect())
            }
        }
    })
}

impl Shape {
    fn pattern(&self) -> TokenStream {
        let (path, bindings) = (&self.path, self.parts.iter().map(|p| &p.binding));
        match self.named {
            true => {
                let names = self.parts.iter().map(|p| format_ident!("{}", p.name));
                quote!(#path { #(#names: #bindings),* })
            }
            false if self.parts.is_empty() => quote!(#path { .. }),
            false => quote!(#path(#(#bindings),*)),
        }
    }

    fn trees(&self) -> Vec<&Ident> {
        self.parts.iter().filter(|p| !p.is_static).map(|p| &p.binding).collect()
    }
}

fn shape(path: TokenStream, kind: String, fields: &Fields) -> Result<Shape> {
    let part = |(i, field): (usize, &Field)| {
        let name = field.ident.as_ref().map_or_else(|| i.to_string(), |ident| ident.to_string());
        let name = name.trim_start_matches("r#").to_owned();
        Ok(Part { binding: format_ident!("field_{i}"), name, is_static: is_static(field)? })
    };
    let parts = fields.iter().enumerate().map(part).collect::<Result<_>>()?;
    Ok(Shape { path, kind, parts, named: matches!(fields, Fields::Named(_)) })
}

/// Whether a field is marked `#[tree(static)]`.
fn is_static(field: &Field) -> Result<bool> {
    let mut found = false;
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("tree")) {
        attribute.parse_nested_meta(|meta| match meta.path.is_ident("static") {
            true => {
                found = true;
                Ok(())
            }
            false => Err(meta.error("a field takes only `#[tree(static)]`")),
        })?;
    }
    Ok(found)
}

/// What a type's attributes say.
struct Attributes {
    /// The crate that has `Tree`.
    krate: Path,
    /// The type of the rows of a struct of columns.
    rows: Option<Type>,
}

fn attributes(input: &DeriveInput) -> Result<Attributes> {
    let mut found = Attributes { krate: parse_quote!(::unloop), rows: None };
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("tree")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                found.krate = meta.value()?.parse::<syn::LitStr>()?.parse()?;
            } else if meta.path.is_ident("rows") {
                found.rows = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error(
                    "a type takes only `#[tree(crate = \"…\")]` and `#[tree(rows = …)]`; \
                     `#[tree(static)]` goes on a field",
                ));
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// Bounds the type parameters that occur in fields that are trees by `Tree`.
fn bound_parameters(input: &DeriveInput, generics: &mut syn::Generics, krate: &Path) -> Result<()> {
    let fields: Vec<&Field> = match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|v| v.fields.iter()).collect(),
        Data::Union(_) => Vec::new(),
    };
    let mut trees = Vec::new();
    for field in fields {
        if !is_static(field)? {
            trees.push(&field.ty);
        }
    }
    for parameter in generics.type_params_mut() {
        if trees.iter().any(|ty| mentions(ty, &parameter.ident)) {
            parameter.bounds.push(parse_quote!(#krate::Tree));
        }
    }
    Ok(())
}

/// Whether a type names a parameter.
fn mentions(ty: &Type, parameter: &Ident) -> bool {
    fn walk(tokens: TokenStream, parameter: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == *parameter,
            proc_macro2::TokenTree::Group(group) => walk(group.stream(), parameter),
            proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
        })
    }
    walk(quote!(#ty), parameter)
}
