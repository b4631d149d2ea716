//! The menus of folders and objects in the list.

use api_types::StoredObject;
use dioxus::prelude::*;

use super::{
    deletion::Deleting,
    object_sheet::{self, download},
    objects::{List, Open},
    transfer::Transferring,
    words::name_of,
};
use crate::ui::{IconName, Menu, MenuItem};

#[component]
pub(super) fn FolderMenu(list: List, folder: String) -> Element {
    let mut open = list.open;
    let name = name_of(&folder).to_owned();
    rsx! {
        Menu { name: "Actions for {name}", icon: IconName::Dots, class: "btn-s",
            MenuItem {
                icon: Some(IconName::Copy),
                onselect: {
                    let folder = folder.clone();
                    move |()| object_sheet::copy(format!("{}/{folder}", list.bucket.peek()))
                },
                "Copy folder path"
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: {
                    let folder = folder.clone();
                    move |()| open.set(Open::Delete(Deleting::Folder(folder.clone())))
                },
                "Delete folder"
            }
        }
    }
}

#[component]
pub(super) fn ObjectMenu(list: List, object: StoredObject) -> Element {
    let mut open = list.open;
    let name = name_of(&object.path).to_owned();
    let path = object.path.clone();
    let to_transfer = object.clone();
    let transfers = [
        ("Rename object", Transferring::rename as fn(StoredObject) -> Transferring),
        ("Move object", Transferring::relocate),
        ("Copy object", Transferring::copy),
    ];
    rsx! {
        Menu { name: "Actions for {name}", icon: IconName::Dots, class: "btn-s",
            MenuItem {
                icon: Some(IconName::Download),
                onselect: {
                    let path = path.clone();
                    move |()| download(&list.project.peek(), &list.bucket.peek(), path.clone())
                },
                "Download"
            }
            MenuItem {
                icon: Some(IconName::Copy),
                onselect: {
                    let key = object.object_key.clone();
                    move |()| object_sheet::copy(key.clone())
                },
                "Copy object key"
            }
            MenuItem {
                onselect: {
                    let path = path.clone();
                    move |()| object_sheet::copy_link(&list.project.peek(), &list.bucket.peek(), path.clone())
                },
                "Copy link (1 hour)"
            }
            hr {}
            for (label, transferring) in transfers {
                MenuItem {
                    key: "{label}",
                    onselect: {
                        let object = to_transfer.clone();
                        move |()| open.set(Open::Transfer(transferring(object.clone())))
                    },
                    "{label}"
                }
            }
            hr {}
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| open.set(Open::Delete(Deleting::Object { path: path.clone(), size: object.size })),
                "Delete object"
            }
        }
    }
}
