//! Which cells of a table may not be shown.

use super::FEWEST_PEOPLE;

/// What is to be hidden of a table of people, whose totals by row and by column are shown: every cell of somebody, but of
/// fewer than [`FEWEST_PEOPLE`], and as many others that none of those is what a total leaves. Empty cells are shown: that
/// nobody is in them tells of nobody.
///
/// In each row and column no cell is hidden alone; the smallest that is left is hidden with it (secondary suppression; see
/// A. Hundepool et al., "Statistical Disclosure Control", 2012, section 4.3).
pub(super) fn hidden(people: &[Vec<u32>]) -> Vec<Vec<bool>> {
    let mut hidden: Vec<Vec<bool>> =
        people.iter().map(|row| row.iter().map(|count| (1..FEWEST_PEOPLE).contains(count)).collect()).collect();
    let columns = people.first().map_or(0, Vec::len);
    loop {
        let lines = (0..people.len())
            .map(|row| (0..columns).map(|column| (row, column)).collect::<Vec<_>>())
            .chain((0..columns).map(|column| (0..people.len()).map(|row| (row, column)).collect()));
        let mut more = None;
        for line in lines {
            let is_hidden = |(row, column): &(usize, usize)| hidden[*row][*column];
            if line.iter().filter(|cell| is_hidden(cell)).count() != 1 {
                continue;
            }
            let smallest = line
                .iter()
                .filter(|cell| !is_hidden(cell) && people[cell.0][cell.1] > 0)
                .min_by_key(|cell| people[cell.0][cell.1]);
            if let Some(cell) = smallest {
                more = Some(*cell);
                break;
            }
        }
        match more {
            Some((row, column)) => hidden[row][column] = true,
            None => return hidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_cell_takes_the_next_smallest_of_its_row_and_column_with_it() {
        let table = vec![vec![5, 40, 90], vec![30, 60, 70], vec![50, 45, 80]];
        let hidden = hidden(&table);
        assert_eq!(hidden, [[true, true, false], [true, true, false], [false, false, false]]);
    }

    #[test]
    fn an_empty_cell_hides_nobody_and_is_no_cover() {
        assert_eq!(hidden(&[vec![0, 20, 3]]), [[false, true, true]]);
        assert_eq!(hidden(&[vec![0, 20]]), [[false, false]]);
    }

    proptest! {
        #[test]
        fn nothing_small_is_shown_and_nothing_hidden_is_what_a_total_leaves(
            table in (1usize..6, 1usize..6).prop_flat_map(|(rows, columns)| {
                proptest::collection::vec(proptest::collection::vec(0u32..60, columns), rows)
            })
        ) {
            let hidden = hidden(&table);
            let columns = table[0].len();
            let lines = (0..table.len())
                .map(|row| (0..columns).map(|column| (row, column)).collect::<Vec<_>>())
                .chain((0..columns).map(|column| (0..table.len()).map(|row| (row, column)).collect()));
            for line in lines {
                let counts: Vec<u32> = line.iter().filter(|(r, c)| hidden[*r][*c]).map(|(r, c)| table[*r][*c]).collect();
                let shown: Vec<u32> = line.iter().filter(|(r, c)| !hidden[*r][*c]).map(|(r, c)| table[*r][*c]).collect();
                prop_assert!(shown.iter().all(|count| *count == 0 || *count >= FEWEST_PEOPLE));
                // Alone only where everything else of the line is empty: then the total is of the same people, and the
                // other direction covers them.
                prop_assert!(counts.len() != 1 || shown.iter().all(|count| *count == 0), "{table:?} {hidden:?}");
            }
        }
    }
}
