//! Complex numbers and Fourier transforms against JAX, values and gradients, alone and mapped.

use ndarray::Array1;
use num_complex::Complex64;
use unloop::prelude::*;
use unloop::{Complex, check_grads, fft};
use unloop_graph::backend::by_reference;
use unloop_tests::vectors::{difference, read, tensors};

/// A result: complex or real.
#[derive(Clone, Tree)]
struct Parts(Vec<Tensor>);

impl From<Complex> for Parts {
    fn from(z: Complex) -> Parts {
        Parts(vec![z.re, z.im])
    }
}

impl From<Tensor> for Parts {
    fn from(x: Tensor) -> Parts {
        Parts(vec![x])
    }
}

fn call(name: &str, x: &[Tensor]) -> Option<Parts> {
    let complex = |i: usize| Complex::new(&x[2 * i], x.get(2 * i + 1).unwrap_or(&x[0]));
    let z = complex(0);
    let w = || complex(1);
    let real = &x[0];
    let (name, number) = match name.split_once(' ') {
        Some((name, number)) => (name, number.parse::<isize>().ok()?),
        None => (name, 0),
    };
    Some(match name {
        "mul" => (z * w()).into(),
        "div" => (z / w()).into(),
        "add" => (z + w()).into(),
        "sub" => (z - w()).into(),
        "pow" => z.pow(&w()).into(),
        "dot" => z.dot(&w()).into(),
        "vdot" => z.vdot(&w()).into(),
        "conj" => z.conj().into(),
        "abs" => z.abs().into(),
        "angle" => z.angle().into(),
        "recip" => z.recip().into(),
        "exp" => z.exp().into(),
        "log" => z.log().into(),
        "sqrt" => z.sqrt().into(),
        "sin" => z.sin().into(),
        "cos" => z.cos().into(),
        "tan" => z.tan().into(),
        "sinh" => z.sinh().into(),
        "cosh" => z.cosh().into(),
        "tanh" => z.tanh().into(),
        "powi" => z.powi(-3).into(),
        "square" => z.square().into(),
        "times_i" => z.times_i().into(),
        "sum" => z.sum().into(),
        "mean" => z.mean().into(),
        "matmul" => z.matmul(&w()).into(),
        "solve" => z.solve(&w()).into(),
        "fft" => fft::fft(&z, number).into(),
        "ifft" => fft::ifft(&z, number).into(),
        "rfft" => fft::rfft(real, number).into(),
        "ihfft" => fft::ihfft(real, number).into(),
        "irfft" => fft::irfft(&z, number as usize, -1).into(),
        "hfft" => fft::hfft(&z, number as usize, -1).into(),
        "fftn" => fft::fftn(&z, [0, 2]).into(),
        "ifftn" => fft::ifftn(&z, [0, 2]).into(),
        "rfftn" => fft::rfftn(real, [0, 1]).into(),
        "irfftn" => fft::irfftn(&z, 8, [0, 1]).into(),
        "fftshift" => fft::fftshift(real, [0, 1]).into(),
        "ifftshift" => fft::ifftshift(real, [0, 1]).into(),
        "fftfreq" => fft::fftfreq(7, 0.5).into(),
        "rfftfreq" => fft::rfftfreq(8, 0.5).into(),
        _ => return None,
    })
}

/// The sum of squares of the parts.
fn energy(parts: Parts) -> Tensor {
    parts.0.iter().map(|x| x.square().sum()).sum()
}

#[test]
fn values_and_gradients_are_those_of_jax() {
    let mut wrong = Vec::new();
    for entry in read(include_str!("../../vectors/complex.json")) {
        let name = entry["name"].as_str().unwrap();
        let (inputs, expected) = (tensors(&entry["in"]), tensors(&entry["out"]));
        let value = call(name, &inputs).expect(name).0;
        let f = |x: &Vec<Tensor>| energy(call(name, x).unwrap());
        let slopes = grad(f)(&inputs);
        let compiled = jit(grad(f))(&inputs);
        let both = [&value[..], &slopes].concat();
        for (k, (actual, expected)) in both.iter().zip(&expected).enumerate() {
            if let Some(what) = difference(actual, expected, 1e-11) {
                wrong.push(format!("{name}, part {k}: {what}"));
            }
        }
        for (a, b) in slopes.iter().zip(&compiled) {
            wrong.extend(difference(b, a, 1e-12).map(|what| format!("{name} compiled: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn functions_are_the_same_mapped() {
    for entry in read(include_str!("../../vectors/complex.json")) {
        let name = entry["name"].as_str().unwrap();
        let inputs = tensors(&entry["in"]);
        let second: Vec<Tensor> = inputs.iter().map(|x| x * 2.0 + 0.1).collect();
        let stacks: Vec<Tensor> =
            inputs.iter().zip(&second).map(|(a, b)| Tensor::stack(&[a, b], 1)).collect();
        let slope = |x: &Vec<Tensor>| grad(|x: &Vec<Tensor>| energy(call(name, x).unwrap()))(x);
        let values = vmap(|x: &Vec<Tensor>| call(name, x).unwrap(), 1)(&stacks).0;
        let mapped = [values, vmap(slope, 1)(&stacks)].concat();
        for (i, example) in [&inputs, &second].into_iter().enumerate() {
            let alone = [call(name, example).unwrap().0, slope(example)].concat();
            for (all, alone) in mapped.iter().zip(&alone) {
                let from = all.slice_axis(0, i, i + 1).squeeze(0);
                let what = difference(&from, alone, 1e-9);
                assert!(what.is_none(), "{name}, example {i}: {}", what.unwrap());
            }
        }
    }
}

#[test]
fn any_length_and_both_dtypes_come_back() {
    for n in [1, 2, 3, 7, 12, 64, 97] {
        let x = Tensor::from_fn((n, 2), |i| ((i[0] * 7 + i[1]) as f64).sin());
        let back = fft::irfft(&fft::rfft(&x, 0), n, 0);
        assert!(difference(&back, &x, 1e-12).is_none());
        let single = Complex::from_real(&x.cast(DType::F32));
        let back = fft::ifft(&fft::fft(&single, 0), 0).re;
        assert_eq!(back.dtype(), DType::F32);
        assert!(difference(&back, &single.re, 1e-5).is_none());
        check_grads(|x: &Tensor| fft::rfft(x, 0), (&x,), 2).unwrap();
    }
    let spectrum = fft::rfft(&Tensor::ones(DType::F64, 8), 0);
    let error = fft::irfft(&spectrum, 12, 0).check().err();
    assert!(error.unwrap().to_string().contains("12 real numbers have 7"));
}

/// In f32, near poles and far from them.
#[test]
fn tangents_are_accurate_near_poles_and_far_away() {
    let pole = std::f32::consts::FRAC_PI_2;
    for (re, im) in
        [(1e-1, 0.1), (1e-2, 1e-2), (3e-4, -4e-4), (1e-5, 2e-5), (50.0, 0.3), (-700.0, 2.0)]
    {
        let (re, im) = (re as f32, pole + im as f32);
        let expected = Complex64::new(re.into(), im.into()).tanh();
        let expected =
            if re.abs() > 20.0 { Complex64::new(f64::from(re).signum(), 0.0) } else { expected };
        let z = Complex::new(&Tensor::from(re), &Tensor::from(im));
        let turned = Complex::new(&Tensor::from(im), &Tensor::from(-re));
        let (tanh, tan) = (z.tanh(), turned.tan());
        // tan z = -i tanh(iz), with iz = re + i·im.
        for t in [(tanh.re, tanh.im), (-tan.im, tan.re)] {
            let [re, im] = [t.0, t.1].map(|x| f64::from(x.item::<f32>().unwrap()));
            let error = (Complex64::new(re, im) - expected).norm() / expected.norm();
            assert!(error < 1e-6, "at {re} + {im}i: {error:e}");
        }
    }
}

/// Both parts by the definition: what is run without a backend.
fn by_definition(f: impl Fn() -> Parts) -> Vec<Tensor> {
    by_reference(|| f().0)
}

#[test]
fn transforms_are_those_of_the_definition_wherever_lanes_lie() {
    // Lanes side by side, one behind the other, and at distances that share places in a cache.
    for n in [1, 2, 3, 15, 16, 17, 63, 64, 65, 97, 128, 256] {
        for (outer, inner) in [(1, 1), (5, 1), (1, 3), (2, 33)] {
            let at = |i: &[usize]| ((i[0] * 31 + i[1] * 7 + i[2] * 3) as f64 * 1.37).sin();
            let wide = Tensor::from_fn((outer, n, inner), at);
            for dtype in [DType::F32, DType::F64] {
                let tolerance = if dtype == DType::F32 { 2e-5 } else { 1e-12 };
                let x = wide.cast(dtype);
                let z = Complex::new(&x, x.cos());
                let half =
                    Complex { re: x.at((.., ..n / 2 + 1, ..)), im: z.im.at((.., ..n / 2 + 1, ..)) };
                let all: [(&str, &dyn Fn() -> Parts); 6] = [
                    ("fft", &|| fft::fft(&z, 1).into()),
                    ("ifft", &|| fft::ifft(&z, 1).into()),
                    ("rfft", &|| fft::rfft(&x, 1).into()),
                    ("irfft", &|| fft::irfft(&half, n, 1).into()),
                    ("gradient", &|| grad(|x: &Tensor| energy(fft::rfft(x, 1).into()))(&x).into()),
                    ("and back", &|| {
                        grad(|z: &Complex| fft::irfft(z, n, 1).square().sum())(&half).into()
                    }),
                ];
                for (name, f) in all {
                    // Values grow with the length, and gradients with its square.
                    let scale = (n * if name == "gradient" { n } else { 1 }) as f64;
                    for (actual, expected) in f().0.iter().zip(by_definition(f)) {
                        let what = difference(&(actual / scale), &(expected / scale), tolerance);
                        let case = format!("{name} of {outer}×{n}×{inner}, {dtype}");
                        assert!(what.is_none(), "{case}: {}", what.unwrap());
                    }
                }
            }
        }
    }
}

#[test]
fn arrays_of_complex_numbers_come_and_go() {
    let array = Array1::from(vec![Complex64::new(1.0, 2.0), Complex64::new(-3.0, 0.5)]);
    let z = Complex::from_array(&array);
    let turned: Array1<Complex64> = z.times_i().to_array().unwrap();
    assert_eq!(turned, array.mapv(|z| z * Complex64::i()));
    let large = Complex::new(Tensor::from([1e200]), Tensor::from([1e200]));
    assert!((&large / &large).re.item::<f64>().unwrap() == 1.0);
    let zero = Complex::new(Tensor::from([0.0]), Tensor::from([0.0]));
    assert_eq!(zero.sqrt().re.item::<f64>().unwrap(), 0.0);
    assert_eq!(zero.pow(&large).re.item::<f64>().unwrap(), 0.0);
}
