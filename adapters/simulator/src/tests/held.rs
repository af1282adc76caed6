//! What keeps a device from doing what it is told: something that it requires, and what wears out and was left behind.

use super::{
    product::{HEAD, holding, product, still},
    wire::{Wire, write_many},
};
use crate::{Product, ProductSettings};

const PARTS: &str = "[points]\nactivePower = { register = 0, type = 'u16', unit = 'W' }\n\
    remote = { register = 4, type = 'u16' }\n\
    [parts.battery]\ndevice_type = 'battery_pack'\nenergy_role = 'storage'\n[settings.mode]\nregister = 105\nmin = 0\nmax = 3\n";

const REQUIRING: &str = "
[setpoints.battery]
part = 'battery'
[[setpoints.battery.requires]]
check = { register = 4, type = 'u16', equals = 1 }
states = ['discharge']
otherwise = 'switch remote control on'
[[setpoints.battery.requires]]
check = { register = 105, type = 'u16', equals = 2 }
otherwise = 'set the mode to 2'
[setpoints.battery.states]
auto.writes = [{ register = 100, value = 0 }]
charge.writes = [{ register = 100, value = 1 }, { register = 101, from = 'power' }]
discharge.writes = [{ register = 100, value = 2 }, { register = 101, from = 'power' }]
";

const LEFT: &str = "
[setpoints.battery]
part = 'battery'
[setpoints.battery.states]
auto.writes = [{ register = 100, value = 0 }]
hold.writes = [{ register = 100, value = 0 }, { register = 110, value = 7, persistent = true }, { register = 111, value = 0, persistent = true }]
hold_charge.writes = [{ register = 100, value = 0 }, { register = 110, value = 7, persistent = true }, { register = 112, value = 0, persistent = true }]
charge.writes = [{ register = 110, value = 7, persistent = true }, { register = 101, from = 'power' }, { register = 100, value = 1 }]
discharge.writes = [{ register = 110, value = 7, persistent = true }, { register = 101, from = 'power' }, { register = 100, value = 2 }]
";

async fn start(setpoints: &str, settings: ProductSettings) -> Product {
    let product = product(&format!("{HEAD}{PARTS}{setpoints}"), settings).await;
    product.hold(Some(2_000.0), Some(500.0));
    product
}

async fn write(product: &Product, at: u16, values: &[u16]) {
    let mut wire = Wire::to(product.addr()).await;
    assert_eq!(wire.ask(7, &write_many(at, values)).await.unwrap().pdu[0], 16);
}

/// State and battery power that are in force.
fn does(product: &Product) -> (String, f64) {
    (product.told("battery").unwrap().0, product.now().battery)
}

fn is(state: &str, watts: f64) -> (String, f64) {
    (state.to_owned(), watts)
}

#[tokio::test]
async fn what_it_requires_is_so_unless_one_wants_it_otherwise() {
    let product = start(REQUIRING, still()).await;
    assert_eq!((holding(&product, 4, 1), holding(&product, 105, 1)), (vec![1], vec![2]));
    write(&product, 100, &[2, 900]).await;
    assert_eq!(does(&product), is("discharge", 900.0));
    // Told by somebody else, for the next command.
    write(&product, 105, &[0]).await;
    write(&product, 100, &[1, 700]).await;
    assert_eq!(does(&product), is("discharge", 900.0));
    write(&product, 100, &[0]).await;
    assert_eq!(does(&product), is("auto", -1_500.0));
}

#[tokio::test]
async fn one_that_is_not_ready_accepts_and_does_nothing() {
    let product = start(REQUIRING, ProductSettings { unready: true, ..still() }).await;
    assert!(holding(&product, 4, 1) != [1] && holding(&product, 105, 1) != [2]);
    write(&product, 100, &[2, 900]).await;
    assert_eq!((does(&product), holding(&product, 100, 2)), (is("auto", -1_500.0), vec![2, 900]));
    // A requirement of the other state alone is left.
    write(&product, 105, &[2]).await;
    write(&product, 100, &[2, 900]).await;
    assert_eq!(does(&product), is("auto", -1_500.0));
    write(&product, 100, &[1, 800]).await;
    assert_eq!(does(&product), is("charge", -800.0));
}

#[tokio::test]
async fn what_wears_out_and_was_left_behind_holds_the_battery_back() {
    let product = start(LEFT, still()).await;
    let first = holding(&product, 111, 2);
    write(&product, 110, &[7, 0]).await;
    write(&product, 100, &[0]).await;
    assert_eq!(does(&product), is("hold", -1_500.0));
    // Forced the allowed way, and the other way.
    write(&product, 100, &[1, 600]).await;
    assert_eq!(does(&product), is("charge", -600.0));
    write(&product, 100, &[2, 600]).await;
    assert_eq!(does(&product), is("discharge", 0.0));
    write(&product, 111, &first[..1]).await;
    assert_eq!(does(&product), is("discharge", 600.0));
    write(&product, 112, &[0]).await;
    write(&product, 100, &[1, 600]).await;
    assert_eq!(does(&product), is("charge", 0.0));
    write(&product, 112, &first[1..]).await;
    write(&product, 100, &[0]).await;
    // What the forcing states write as well says nothing.
    assert_eq!((does(&product), holding(&product, 110, 1)), (is("auto", -1_500.0), vec![7]));
}
