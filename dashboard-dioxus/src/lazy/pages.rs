//! The pages, and other parts of the dashboard, that are loaded when they are opened, by module.

use dioxus::prelude::*;

use super::load;
use crate::remote::Failure;

/// Defines two items for each part: a component that loads the part's module before it shows the part, and the function
/// in [`split_points`] at which the bundler splits the app. The word before a module is the function of [`load`] that
/// shows its parts.
macro_rules! lazy_components {
    ($($kind:ident $module:ident {
        $($component:ident ($($field:ident: $type:ty),*) = $($path:ident)::+;)+
    })+) => {
        $($(
            #[component]
            pub fn $component($($field: $type),*) -> Element {
                load::$kind(stringify!($module), || split_points::$module::$component($($field),*))
            }
        )+)+

        /// One module for each WebAssembly module. The bundler finds the functions by their path.
        mod split_points {
            $(
                pub(super) mod $module {
                    use dioxus::prelude::*;

                    #[allow(unused_imports, reason = "only some modules need it")]
                    use crate::remote::Failure;

                    $(
                        #[inline(never)]
                        #[expect(non_snake_case, reason = "named after the component")]
                        pub(in super::super) fn $component($($field: $type),*) -> Element {
                            rsx! { crate::$($path)::+::$component { $($field: $field),* } }
                        }
                    )+
                }
            )+
        }
    };
}

lazy_components! {
    solo sign_in {
        SignIn() = pages::sign_in;
        SessionUnchecked(failure: Failure) = frame::gate;
    }
    page first_project { FirstProject() = pages::overview; }
    regions overview { Regions() = pages::overview; }
    page projects {
        Projects() = pages::projects;
        NewProject() = pages::new_project;
        Project(id: ReadSignal<String>) = pages::project;
        ProjectSettings(id: ReadSignal<String>) = pages::project_settings;
    }
    page keys { Keys(id: ReadSignal<String>) = pages::keys; }
    page tables { Tables(id: ReadSignal<String>) = pages::tables; }
    page sql { Sql(id: ReadSignal<String>) = pages::sql; }
    page storage {
        Storage(id: ReadSignal<String>) = pages::storage;
        Bucket(id: ReadSignal<String>, bucket: ReadSignal<String>) = pages::storage;
        UploadList() = pages::storage::upload;
    }
    page jobs {
        Jobs() = pages::jobs;
        ProjectJobs(id: ReadSignal<String>) = pages::jobs;
        NewJob() = pages::jobs;
        Job(id: ReadSignal<String>) = pages::jobs;
    }
    page backups {
        Backups() = pages::backups;
        DatabaseTools(id: ReadSignal<String>) = pages::backups;
    }
    page plugins { Plugins() = pages::plugins; }
    page runs {
        Runs() = pages::runs;
        Run(id: ReadSignal<String>) = pages::runs;
    }
    page notifications { Notifications() = pages::notifications; }
    page audit { Audit() = pages::audit; }
    page users { Users(id: ReadSignal<String>) = pages::users; }
    page settings { Settings() = pages::settings; }
    page components { Components() = pages::components; }
    later background {
        EventStream() = remote::events;
        NewKeysDialog() = pages::store_keys;
    }
    dialog overlays {
        Palette(project: Option<String>) = frame::palette;
        Switcher(project: Option<String>) = frame::switcher;
        RunningWork() = frame::running;
        Shortcuts() = frame::shortcuts;
        HelpSheet(name: String) = frame::help;
    }
}
