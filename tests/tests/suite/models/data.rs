//! Batches.

use unloop::data::{Batches, Last};
use unloop::prelude::*;
use unloop::{ErrorKind, Result, random};

fn rows(n: usize) -> (Tensor, Tensor) {
    let x = Tensor::iota(DType::I32, n, 0);
    (x.clone(), Tensor::stack(&[&x, &(&x * 10)], 1))
}

fn firsts(batches: Batches<(Tensor, Tensor)>) -> Result<Vec<Vec<i32>>> {
    batches.map(|batch| batch.examples.0.to_vec()).collect()
}

#[test]
fn the_last_batch_is_what_the_caller_says() -> Result<()> {
    let data = rows(7);
    let of = |last: Last| Batches::new(&data, 3, last);
    assert_eq!(firsts(of(Last::Keep)?)?, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    assert_eq!(firsts(of(Last::Drop)?)?, [vec![0, 1, 2], vec![3, 4, 5]]);
    assert_eq!(firsts(of(Last::Pad)?)?, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 0, 1]]);
    let masks: Vec<Vec<bool>> =
        of(Last::Pad)?.map(|batch| batch.mask.to_vec()).collect::<Result<_>>()?;
    assert_eq!(masks, [vec![true; 3], vec![true; 3], vec![true, false, false]]);
    for batch in of(Last::Keep)? {
        assert_eq!(batch.examples.1.shape()[0], batch.examples.0.size());
        assert_eq!(batch.mask.size(), batch.examples.0.size());
        let tens = batch.examples.1.at((.., 1)).to_vec::<i32>()?;
        let ones = batch.examples.0.to_vec::<i32>()?;
        assert!(tens.iter().zip(ones).all(|(ten, one)| *ten == 10 * one));
    }
    // A batch of more than all.
    let of = |last: Last| Batches::new(&rows(2), 5, last);
    assert_eq!(firsts(of(Last::Keep)?)?, [[0, 1]]);
    assert_eq!(firsts(of(Last::Pad)?)?, [[0, 1, 0, 1, 0]]);
    assert_eq!(of(Last::Drop)?.len(), 0);
    assert_eq!(firsts(of(Last::Drop)?)?, Vec::<Vec<i32>>::new());
    // No examples.
    for last in [Last::Keep, Last::Drop, Last::Pad] {
        assert_eq!(Batches::new(&rows(0), 3, last)?.epochs(4).count(), 0);
    }
    Ok(())
}

#[test]
fn every_epoch_has_an_order_of_its_own() -> Result<()> {
    let key = random::key(5);
    let batches = Batches::new(&rows(10), 4, Last::Keep)?.shuffled(&key).epochs(3);
    assert_eq!((batches.len(), batches.per_epoch()), (9, 3));
    let epochs: Vec<usize> = batches.clone().map(|batch| batch.epoch).collect();
    assert_eq!(epochs, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let all = firsts(batches.clone())?;
    let orders: Vec<Vec<i32>> = all.chunks(3).map(<[Vec<i32>]>::concat).collect();
    for order in &orders {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<i32>>());
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2]);
    // The key decides.
    assert_eq!(firsts(batches)?, all);
    let other = Batches::new(&rows(10), 4, Last::Keep)?.shuffled(&random::key(6)).epochs(3);
    assert_ne!(firsts(other)?, all);
    // What fills up the last batch comes from the same epoch's start.
    let padded = firsts(Batches::new(&rows(10), 4, Last::Pad)?.shuffled(&key))?;
    assert_eq!(padded[2][2..], padded[0][..2]);
    Ok(())
}

#[test]
fn what_has_no_examples_is_an_error() {
    let error = |result: Result<usize>| result.expect_err("no batches");
    let of = |data: &(Tensor, Tensor), size| Batches::new(data, size, Last::Keep).map(|b| b.len());
    let zero = error(of(&rows(3), 0));
    assert!(zero.location().is_some_and(|at| at.file().ends_with("data.rs")), "{zero}");
    let sizes = error(of(&(rows(3).0, rows(4).0), 2));
    assert!(matches!(sizes.kind(), ErrorKind::BatchSizes { .. }), "{sizes}");
    error(of(&(rows(3).0, Tensor::from(1.0)), 2));
    error(Batches::new(&Vec::<Tensor>::new(), 2, Last::Keep).map(|b| b.len()));
    let failed = Tensor::from([1.0, 2.0]) + Tensor::from([1.0, 2.0, 3.0]);
    assert_eq!(error(of(&(failed, Tensor::from([1.0])), 2)).op(), "add");
}
