//! Comparisons with numbers.

use super::{Condition, Sql};
use crate::filter::{Number, Op, Value};

/// On a column of floating-point numbers that holds no NaN.
pub(super) fn of_reals(column: &str, op: Op, value: &Value) -> Condition {
    let real = |number: &Number| match number {
        Number::Fraction(number) => Sql::Real(*number),
        #[expect(clippy::cast_precision_loss, reason = "metrics are compared as the numbers they are")]
        Number::Whole(number) => Sql::Real(*number as f64),
    };
    let numbers: Vec<Sql> = numbers(value).iter().map(real).collect();
    let marks = vec!["?"; numbers.len()].join(", ");
    let sql = match op {
        Op::Eq => format!("{column} = ?"),
        Op::Ne => format!("{column} <> ?"),
        Op::Lt => format!("{column} < ?"),
        Op::Le => format!("{column} <= ?"),
        Op::Gt => format!("{column} > ?"),
        Op::Ge => format!("{column} >= ?"),
        Op::Between => format!("{column} BETWEEN ? AND ?"),
        Op::NotBetween => format!("{column} NOT BETWEEN ? AND ?"),
        Op::In => format!("{column} IN ({marks})"),
        Op::NotIn => format!("{column} NOT IN ({marks})"),
        Op::IsNull => format!("{column} IS NULL"),
        // No other fits a number.
        _ => format!("{column} IS NOT NULL"),
    };
    Condition::new(sql, numbers)
}

/// On a column of integers. A fraction is turned into the integer beside it first: engines differ in how they compare
/// an integer with a floating-point number.
pub(super) fn of_integers(column: &str, op: Op, value: &Value) -> Condition {
    let numbers = numbers(value);
    match (op, &numbers[..]) {
        (Op::IsNull, _) => Condition::new(format!("{column} IS NULL"), vec![]),
        (Op::Eq | Op::In, _) => equal(column, &numbers),
        (Op::Ne | Op::NotIn, _) => equal(column, &numbers).not_missing(column),
        (Op::Lt, [bound]) => at_least(column, bound).not_missing(column),
        (Op::Le, [bound]) => at_most(column, bound),
        (Op::Gt, [bound]) => at_most(column, bound).not_missing(column),
        (Op::Ge, [bound]) => at_least(column, bound),
        (Op::Between, [low, high]) => between(column, low, high),
        (Op::NotBetween, [low, high]) => between(column, low, high).not_missing(column),
        _ => present(column),
    }
}

fn present(column: &str) -> Condition {
    Condition::new(format!("{column} IS NOT NULL"), vec![])
}

impl Condition {
    /// The opposite, but not where the column is NULL.
    fn not_missing(self, column: &str) -> Condition {
        let sql = self.not();
        Condition { sql: format!("({column} IS NOT NULL AND {})", sql.sql), parameters: sql.parameters }
    }
}

fn numbers(value: &Value) -> Vec<Number> {
    match value {
        Value::Number(number) => vec![*number],
        Value::Range(low, high) => vec![*low, *high],
        Value::Numbers(numbers) => numbers.clone(),
        _ => vec![],
    }
}

fn equal(column: &str, numbers: &[Number]) -> Condition {
    let whole = |number: &Number| match (floor(number), ceil(number)) {
        (Bound::At(low), Bound::At(high)) if low == high => Some(Sql::Integer(low)),
        _ => None,
    };
    let equal: Vec<Sql> = numbers.iter().filter_map(whole).collect();
    match equal.len() {
        0 => Condition::never(),
        1 => Condition::new(format!("{column} = ?"), equal),
        n => Condition::new(format!("{column} IN ({})", vec!["?"; n].join(", ")), equal),
    }
}

fn between(column: &str, low: &Number, high: &Number) -> Condition {
    let (low, high) = (at_least(column, low), at_most(column, high));
    Condition::all([&low, &high].into_iter())
}

fn at_least(column: &str, bound: &Number) -> Condition {
    match ceil(bound) {
        Bound::Below => present(column),
        Bound::At(bound) => Condition::new(format!("{column} >= ?"), vec![Sql::Integer(bound)]),
        Bound::Above => Condition::never(),
    }
}

fn at_most(column: &str, bound: &Number) -> Condition {
    match floor(bound) {
        Bound::Below => Condition::never(),
        Bound::At(bound) => Condition::new(format!("{column} <= ?"), vec![Sql::Integer(bound)]),
        Bound::Above => present(column),
    }
}

/// A place on the line of integers: below all of them, at one, above all.
#[derive(Debug, PartialEq)]
enum Bound {
    Below,
    At(i64),
    Above,
}

fn floor(number: &Number) -> Bound {
    match number {
        Number::Whole(number) => Bound::At(*number),
        Number::Fraction(number) => bound(number.floor()),
    }
}

fn ceil(number: &Number) -> Bound {
    match number {
        Number::Whole(number) => Bound::At(*number),
        Number::Fraction(number) => bound(number.ceil()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the number is whole and in range")]
fn bound(number: f64) -> Bound {
    // 2^63: the first that is no i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match number {
        _ if number < -LIMIT => Bound::Below,
        _ if number >= LIMIT => Bound::Above,
        _ => Bound::At(number as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_become_the_integers_beside_them() {
        let fraction = Number::Fraction;
        assert_eq!((floor(&fraction(1.5)), ceil(&fraction(1.5))), (Bound::At(1), Bound::At(2)));
        assert_eq!((floor(&fraction(-1.5)), ceil(&fraction(-1.5))), (Bound::At(-2), Bound::At(-1)));
        assert_eq!((floor(&fraction(f64::INFINITY)), ceil(&fraction(-1e300))), (Bound::Above, Bound::Below));
        assert_eq!(floor(&fraction(9_223_372_036_854_775_807.0)), Bound::Above);
        assert_eq!(ceil(&fraction(-9_223_372_036_854_775_808.0)), Bound::At(i64::MIN));
    }
}
