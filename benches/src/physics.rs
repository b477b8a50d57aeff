//! Bodies that pull each other, and a picture whose rays walk as far as they see.

use unloop::prelude::*;

use crate::{Row, program};

/// The acceleration of a body at `a` by another one.
fn pull(a: &Tensor, b: &Tensor, mass: &Tensor) -> Tensor {
    let way = b - a;
    let square = way.square().sum() + 0.01;
    way * (mass / (&square * square.sqrt()))
}

fn accelerations(places: &Tensor, masses: &Tensor) -> Tensor {
    let one = |a: &Tensor| vmap(pull, (Shared, 0, 0))(a, places, masses).sum_axis(0);
    vmap(one, 0)(places)
}

/// Places and velocities after a hundred steps.
fn leapfrog(places: &Tensor, velocities: &Tensor, masses: &Tensor) -> (Tensor, Tensor) {
    let dt = 0.01;
    let step = |_: &Tensor, (x, v): &(Tensor, Tensor)| {
        let x = x + v * dt;
        let v = v + accelerations(&x, masses) * dt;
        (x, v)
    };
    let half = accelerations(places, masses) * (dt / 2.0);
    fori_loop(100, step, &(places.clone(), velocities + half))
}

/// How far it is from a point to the scene: two balls that melt into each other, above a floor.
fn distance(radius: &Tensor, p: &Tensor) -> Tensor {
    let ball = |x: f64, y: f64, z: f64| (p - Tensor::from([x, y, z]).cast(DType::F32)).norm();
    let (a, b) = (ball(0.0, 0.0, 0.0) - radius, ball(0.9, 0.6, -0.3) - 0.5);
    let near = (0.3 - (&a - &b).abs()).maximum(0.0) / 0.3;
    let balls = a.minimum(&b) - near.square() * (0.3 / 4.0);
    balls.minimum(p.at(1) + 1.0)
}

/// The brightness of the scene in one direction.
fn pixel(radius: &Tensor, u: &Tensor, v: &Tensor) -> Tensor {
    let eye = Tensor::from([0f32, 0.3, -3.0]);
    let way = tensor![u, v, 1.5];
    let way = &way / way.norm();
    let at = |t: &Tensor| &eye + t * &way;
    let (t, ..) = while_loop(
        |(t, d, n): &(Tensor, Tensor, Tensor)| d.greater(1e-3) & t.less(20.0) & n.less(100),
        |(t, d, n)| {
            let t = t + d;
            let d = distance(radius, &at(&t));
            (t, d, n + 1)
        },
        &(u.zeros_like(), distance(radius, &eye), Tensor::from(0)),
    );
    let normal = grad(distance).wrt(1)(radius, &at(&t));
    let light = Tensor::from([0.5f32, 0.7, -0.5]);
    let brightness = normal.dot(&light).maximum(0.0) * (-0.1 * &t).exp();
    t.less(20.0).select(brightness, 0.0)
}

fn image(radius: &Tensor, us: &Tensor, vs: &Tensor) -> Tensor {
    vmap(vmap(pixel, (Shared, 0, Shared)), (Shared, Shared, 0))(radius, us, vs)
}

/// Rows 39 and 42.
pub(crate) fn rows() -> Vec<Row> {
    use DType::F32;
    let scene: [(DType, &[usize]); 3] = [(F32, &[]), (F32, &[512]), (F32, &[512])];
    vec![
        program("39 forces", &[(F32, &[4096, 3]), (F32, &[4096])], |x| {
            vec![accelerations(&x[0], &x[1])]
        }),
        program("39 steps", &[(F32, &[256, 3]), (F32, &[256, 3]), (F32, &[256])], |x| {
            let (x, v) = leapfrog(&x[0], &x[1], &x[2]);
            vec![x, v]
        }),
        program("42", &scene, |x| vec![image(&x[0], &x[1], &x[2])]),
        program("42 jvp", &scene, |x| {
            let (us, vs) = (x[1].clone(), x[2].clone());
            let of_radius = |radius: &Tensor| image(radius, &us, &vs);
            let (value, slope) = jvp(of_radius)(&x[0], &x[0].ones_like());
            vec![value, slope]
        }),
    ]
}
